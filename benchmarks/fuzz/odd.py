"""Values that parsers trip over: numbers, texts and headers from the edges of their grammars."""

from __future__ import annotations

from typing import Final

__all__ = ["HEADERS", "LITERALS", "NUMBERS", "SPLICES", "TEXTS"]

NUMBERS: Final = (
    *("0", "-0", "-1", "1", "2147483648", "9007199254740993", "18446744073709551616", "-9223372036854775809"),
    *("1e308", "1e999", "-1e999", "1e-400", "0.1", "1.7976931348623157e308", "5e-324", "1E+2", "3.0"),
    *("1" * 400, "1" * 5000, "0." + "3" * 400, "86400", "1e9", "1735689600", "1735689600000"),
)
"""As JSON and TOML spell them."""

LITERALS: Final = (
    *("null", "true", "false", "{}", "[]", '""', "NaN", "Infinity", "-Infinity", "nan", "inf", "-nan", "undefined"),
    *('"\\ud800"', '"\\udc00\\ud800"', '"\\u0000"', '"\\x00"', "'single'", "01", "+1", ".5", "1.", "0x10", "1_000"),
    *("[[]]", "{{}}", '{"":""}', "[null]", '[{"a":[]}]', '{"a":1,"a":2}', "1979-05-27", "07:32:00"),
)
"""Verbatim in place of a value, valid or not."""

TEXTS: Final = (
    *(
        "",
        " ",
        "\0",
        "\r\n",
        "\u2028",
        "\ufeff",
        "\ud800",
        "a" * 300,
        "a" * 9000,
        "\U0001f600",
        "é",
        "é",
        "ß",
        "\x1b[31m",
    ),
    *("${env:SECRET}", "${file:/dev/null}", "${file:/proc/self/mem}", "${cred:../../x}", "${env:}", "${", "}"),
    *("../../etc/passwd", "/", "//", "a/b/c", "%00", "%2e%2e", "%", "%zz", "*", "(a+)+$", "[", "(?P<x>", "\\"),
    *("1s", "0s", "-1s", "1.5h30m", "99999999999999d", "1e9s", "1 s", "ms", "16MiB", "0B", "99999999999999GiB"),
    *("http://", "http://[::1", "http://a:99999", "https://x@y:z", "unix://", "unix:///x.sock", "file:///x", "//x"),
    *("127.0.0.1:0", "0.0.0.0:80", "[::1]:1", ":80", "127.0.0.1:99999", "localhost", "\u0661\u0662"),
    *("auto", "chat", "last", "req_0", "one/m", "text/event-stream", "Mon, 01 Jan 0001 00:00:00 GMT", "1970-01-01"),
    *("Fri, 31 Dec 9999 23:59:59 GMT", "9999-12-31T23:59:59.999999999Z", "0000-00-00T00:00:00Z", "6m0s", "1h2m3.5s"),
)

SPLICES: Final = (
    *(b"\r\n", b"\n", b"\r", b"\0", b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xef\xbb\xbf", b":", b",", b'"', b"\\"),
    *(b"{", b"}", b"[", b"]", b" ", b"\t", b"=", b"#", b"\n\n", b"\r\n\r\n", b"data: ", b"event: error\n", b"[DONE]"),
    *(b"HTTP/1.1", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n", b"\\u", b"e9", b"-"),
)

HEADERS: Final = (
    *("fairlead-deadline-ms", "fairlead-workload", "fairlead-team", "fairlead-user", "fairlead-no-fallback"),
    *("fairlead-task", "traceparent", "idempotency-key", "x-stainless-read-timeout", "x-stainless-timeout"),
    *("x-stainless-retry-count", "anthropic-version", "anthropic-beta", "authorization", "x-api-key", "accept"),
    *("content-type", "content-encoding", "accept-encoding", "expect", "connection", "te", "upgrade", "cookie"),
    *("last-event-id", "host", "origin", "range", "if-none-match", "x-request-id", "openai-organization"),
)

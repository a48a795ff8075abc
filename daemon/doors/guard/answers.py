"""What a door says where no face can: before a request's path is known, its error has the shape of every dialect."""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web

from daemon.faces.refusals import Refusal, RefusalKind, any_dialect_body, refusal_headers

__all__ = ["large_head", "raised", "response_of", "spoken"]

_JSON = "application/json"
_RAISED: dict[RefusalKind, type[web.HTTPException]] = {
    RefusalKind.TOO_SLOW: web.HTTPRequestTimeout,
    RefusalKind.BUFFERS_FULL: web.HTTPServiceUnavailable,
}


def spoken(refusal: Refusal) -> bytes:
    """Return `refusal` as a whole answer, for a connection that has no request yet."""
    body = any_dialect_body(refusal)
    headers = {"content-type": _JSON, "content-length": str(len(body)), "connection": "close"}
    lines = [f"{name}: {value}" for name, value in (headers | refusal_headers(refusal)).items()]
    status = f"HTTP/1.1 {refusal.status} {HTTPStatus(refusal.status).phrase}"
    return "\r\n".join([status, *lines, "", ""]).encode() + body


def response_of(refusal: Refusal) -> web.Response:
    """Return `refusal` as the answer to a request."""
    headers = {"content-type": _JSON, **refusal_headers(refusal)}
    return web.Response(status=refusal.status, headers=headers, body=any_dialect_body(refusal))


def raised(refusal: Refusal) -> web.HTTPException:
    """Return `refusal` for a face that waits for a body to meet: the server answers it."""
    text = any_dialect_body(refusal).decode()
    return _RAISED[refusal.kind](text=text, content_type=_JSON, headers=refusal_headers(refusal))


def large_head() -> Refusal:
    """Return the refusal of a request whose headers are more than is read of any."""
    message = "The request's headers are too many or too long; send fewer, or raise daemon.max_head."
    return Refusal(kind=RefusalKind.LARGE_HEAD, message=message)

"""Loading a configuration: every problem at once, with its line, and nothing secret in any of them."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.config.configuration import Configuration
from daemon.config.load import demo_configuration, load
from daemon.config.locate import locate
from daemon.config.schema import configuration_schema
from daemon.limits.caller import Caller
from daemon.routing.policy import Strategy
from probes.cascade import CascadePolicy
from state.durations import Seconds
from state.errors import ConfigError
from state.faults import Fault

_ROOT = Path(__file__).parents[2]
_KEYS = {"OPENAI_API_KEY": "sk-openai-very-secret", "ANTHROPIC_API_KEY": "sk-ant-very-secret"}
_BASE = """version = 1
[providers.one]
dialect = "openai"
base_url = "http://127.0.0.1:9/v1"
models = ["m", "n"]
[workloads.chat]
targets = ["one/m", "one/n"]
"""
_CASCADE = _BASE + 'strategy = "cascade"\n'
_CONTRACT = """
version = 1

[daemon]
listen = ["127.0.0.1:4180"]
operators = ["deploy", "@ops"]            # users and @groups
drain_grace = "30s"

[providers.openai]
dialect = "openai"
base_url = "https://api.openai.com/v1"
api_key = "${env:OPENAI_API_KEY}"         # ${env:} ${file:} ${cred:} (systemd credential); a literal is a warning
models = ["gpt-5", "gpt-5-mini"]
max_in_flight = 64
timeouts = { connect = "3s", first_byte = "30s", idle = "30s", total = "10m" }
probe = { kind = "catalog", every = "30s", timeout = "5s" }     # liveness | catalog | canary | none

[providers.anthropic]
dialect = "anthropic"
base_url = "https://api.anthropic.com"
api_key = "${cred:anthropic}"
models = ["claude-sonnet-5"]

[providers.lab]                            # simulated: for demos and tests
dialect = "simulated"
models = ["fast", "slow", "flaky"]

[health]                                   # defaults; [providers.X.health] overrides
fall = 3                                   # consecutive faults that eject
rise = 1                                   # trials that readmit
failure_ratio = 0.6                        # or this share of the window, with min_samples
min_samples = 6
window = "45s"
cooldown = { base = "1s", max = "60s" }

[workloads.support-chat]
targets = ["openai/gpt-5", "anthropic/claude-sonnet-5"]
strategy = "lowest-latency"                # lowest-latency | priority | round-robin | weighted | cheapest
default = true
fallback_on = ["unreachable", "timeout", "overloaded", "server_error", "rate_limited", "quota", "bad_reply"]
max_attempts = 3
compatibility = "dialect"
notify_user = true
degraded = { mode = "static", message = "We are having trouble. Try again in a minute." }    # none | static | cache
max_input_tokens = 12000
"""


def _problems(folder: Path, text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        _load(folder, text)
    return caught.value.problems


def _load(folder: Path, *texts: str, **environ: str) -> Configuration:
    files = []
    for number, text in enumerate(texts):
        files.append(folder / f"{number}.toml")
        files[-1].write_text(text)
    return load(tuple(files), environ)


def test_the_contracts_own_example_loads(tmp_path: Path) -> None:
    """Law: what the contract shows is what the daemon takes."""
    (tmp_path / "anthropic").write_text("sk-ant\n")
    (tmp_path / "anthropic").chmod(0o600)
    loaded = _load(tmp_path, _CONTRACT, CREDENTIALS_DIRECTORY=str(tmp_path), **_KEYS)
    workload = loaded.workloads["support-chat"]
    assert workload.strategy == Strategy.LOWEST_LATENCY
    assert Fault.QUOTA in workload.fallback_on
    assert loaded.providers["openai"].timeouts.total == 600
    assert loaded.providers["anthropic"].api_key.value == "sk-ant"
    assert all("this system does not know" in warning for warning in loaded.warnings)  # deploy and @ops


def test_the_example_file_loads_with_every_default_as_it_says() -> None:
    """Law: `fairlead.example.toml` is a configuration."""
    loaded = load((_ROOT / "fairlead.example.toml",), _KEYS)
    assert loaded.providers["anthropic"].health.fall == 5
    assert loaded.providers["openai"].health.fall == 3
    assert loaded.workloads["batch"].weights == (4, 1)
    assert [key.caller for key in loaded.keys] == [Caller("ada", "search")]


def test_five_mistakes_are_five_lines_in_the_order_of_the_file(tmp_path: Path) -> None:
    """Law: no mistake hides another."""
    text = _BASE.replace('"openai"', '"opnai"').replace('"n"]\n[', '"n"]\nmax_in_flght = 3\n[') + (
        'strategy = "lowest-latncy"\nfallback_on = ["timeoot"]\nmax_wait = 5\n'
    )
    with pytest.raises(ConfigError) as caught:
        _load(tmp_path, text)
    lines = [problem.split(":")[1] for problem in caught.value.problems]
    assert lines == ["3", "6", "9", "10", "11"]
    assert "did you mean max_in_flight?" in caught.value.problems[1]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (_BASE.replace("version = 1", "version = 2"), 1, "version must be 1"),
        (_BASE.replace("one/n", "one/o"), 7, "no provider serves one/o, did you mean one/n?"),
        (_BASE.replace("one/n", "one/m"), 7, "named twice"),
        (_BASE + "weights = [1, 2]\n", 8, "weights only mean something"),
        (_BASE + 'strategy = "weighted"\nweights = [1]\n', 9, "one number above 0 for each"),
        (_BASE + 'strategy = "cheepest"\n', 8, "did you mean cheapest?"),
        (_BASE + "seconds_per_dollar = -1\n", 8, "give seconds, at least 0"),
        (_BASE + 'strategy = "priority"\nseconds_per_dollar = 100\n', 9, "weighs money against time"),
        (_BASE + 'compatibility = "translate"\n', 8, "not available in this version"),
        (_BASE + 'degraded = { mode = "static" }\n', 8, "needs a message"),
        (_BASE + 'degraded = { mode = "cache", messages = { timeuot = "x" } }\n', 8, "did you mean timeout"),
        (_BASE + 'require_entitlement = true\nfallback_on = ["auth"]\n', 8, "take one of them out"),
        (_BASE + 'escalate = "one/m"\n', 8, "asked first anyway"),
        (_BASE + 'escalate = "one/x"\n', 8, "no provider serves one/x"),
        (_BASE + "cascade = { min_chars = 9 }\n", 8, 'only strategy = "cascade" does'),
        (_CASCADE + "cascade = { min_chars = -1 }\n", 9, "min_chars is -1; give characters, at least 0"),
        (_CASCADE + "cascade = { min_logprob = 0.5 }\n", 9, "0 or less"),
        (_CASCADE + "cascade = { hold_back = -1 }\n", 9, "hold_back is -1"),
        (_CASCADE + 'cascade = { timeout = "0s" }\n', 9, "timeout must be longer than nothing"),
        (_CASCADE + 'cascade = { must_match = "(" }\n', 9, "must_match is no regular expression"),
        (_CASCADE + 'cascade = { must_match = "a{99999999999999999999}" }\n', 9, "repetition number is too large"),
        (_CASCADE + 'cascade = { must_not_match = "[a" }\n', 9, "must_not_match is no regular expression"),
        (_CASCADE + 'cascade = { command = [""] }\n', 9, "command names no program"),
        (_CASCADE + "[workloads.chat.cascade]\nmin_char = 1\n", 10, "did you mean min_chars?"),
        (_CASCADE + "max_attempts = 1\n", 8, "max_attempts is 1; raise it"),
        (_CASCADE + 'escalate = "one/n"\n', 9, "take escalate out"),
        (_CASCADE.replace(', "one/n"', ""), 8, "one/m is the only one"),
        (_BASE + "hedge = true\nmax_attempts = 1\n", 8, "max_attempts is 1"),
        (_BASE + 'hedge = true\nstrategy = "priority"\n', 8, 'needs strategy = "lowest-latency"'),
        (_BASE.replace(', "one/n"', "") + "hedge = true\n", 8, "one/m is the only one"),
        (_BASE + "stream_floor = { tokens_per_second = 0 }\n", 8, "above 0"),
        (_BASE + 'deadline = "0s"\n', 8, "longer than nothing"),
        (_BASE + 'fallback_on = ["invalid_request"]\n', 8, "another target cannot mend"),
        (_BASE + "max_attempts = 0\n", 8, "at least 1"),
        (_BASE + "[health]\nfailure_ratio = 2\n", 9, "share in (0, 1]"),
        (_BASE + '[health]\ncooldown = { base = "9s", max = "1s" }\n', 9, "0 < base <= max"),
        (_BASE + '[daemon]\nlisten = ["0.0.0.0:80"]\n', 9, "not loopback"),
        (_BASE + '[daemon]\ndrain_grace = "30"\n', 9, "not a duration"),
        (_BASE.replace("http://127.0.0.1:9/v1", "ftp://x"), 4, "is no scheme"),
        (_BASE.replace('base_url = "http://127.0.0.1:9/v1"\n', ""), 2, "lacks the key base_url"),
        (_BASE.replace('models = ["m", "n"]', "models = []"), 5, "name at least one"),
        (_BASE.replace("[workloads.chat]", "[workloads.auto]"), 6, "cannot be called 'auto'"),
        (_BASE + "[workloads.a]\ntargets = []\n", 9, "name at least one"),
        ("version = 1\n[providers", 2, "not TOML"),
        ("version = 1\n", 1, "no workload"),
        (_BASE.replace("models", 'api_key = "${env:NOT_SET}"\nmodels'), 5, "NOT_SET, which is not set"),
        (_BASE.replace("models", 'api_key = "${file:/no/such}"\nmodels'), 5, "cannot be read"),
        (_BASE.replace("models", 'api_key = "${cred:x}"\nmodels'), 5, "CREDENTIALS_DIRECTORY"),
        (_BASE.replace("models", 'api_key = "${nope:x}"\nmodels'), 5, "is not a reference"),
    ],
)
def test_each_mistake_has_its_line_and_its_words(tmp_path: Path, text: str, line: int, words: str) -> None:
    """Law: whoever made the mistake can mend it from the message."""
    with pytest.raises(ConfigError) as caught:
        _load(tmp_path, text)
    assert [problem for problem in caught.value.problems if f"0.toml:{line}: " in problem and words in problem], caught


def test_a_cascade_without_settings_has_the_usual_ones(tmp_path: Path) -> None:
    """Law: the strategy alone makes a cascade, and whoever sets one thing keeps the rest."""
    assert _load(tmp_path, _CASCADE).workloads["chat"].cascade == CascadePolicy()
    loaded = _load(tmp_path, _CASCADE + 'cascade = { min_logprob = -1.5, timeout = "3s" }\n')
    assert loaded.workloads["chat"].cascade == CascadePolicy(min_logprob=-1.5, timeout=Seconds(3))
    assert _load(tmp_path, _BASE).workloads["chat"].cascade is None


def test_a_second_default_is_a_mistake(tmp_path: Path) -> None:
    """Law: `auto` means one workload."""
    text = _BASE + 'default = true\n[workloads.b]\ntargets = ["one/m"]\ndefault = true\n'
    with pytest.raises(ConfigError, match=r"0\.toml:11: chat is the default already"):
        _load(tmp_path, text)


def test_a_drop_in_lies_over_the_file_and_its_mistakes_are_its_own(tmp_path: Path) -> None:
    """Law: later files add and override, key by key, and a problem names the file that it is in."""
    loaded = _load(tmp_path, _BASE, "[providers.one]\nmax_in_flight = 7\n")
    assert loaded.providers["one"].max_in_flight == 7
    assert loaded.providers["one"].models == ("m", "n")
    with pytest.raises(ConfigError, match=r"1\.toml:2: max_in_flight is 0"):
        _load(tmp_path, _BASE, "[providers.one]\nmax_in_flight = 0\n")


def test_a_literal_key_is_a_warning_that_does_not_show_it(tmp_path: Path) -> None:
    """Law: secrets reach no message, and no repr."""
    loaded = _load(tmp_path, _BASE.replace("models", 'api_key = "sk-very-secret"\nmodels'))
    assert "literal" in loaded.warnings[0]
    assert "sk-very-secret" not in repr(loaded)
    assert "sk-very-secret" not in str(loaded.warnings)


@pytest.mark.parametrize(
    ("base_url", "words"),
    [
        ("http://[::1/v1", "Invalid IPv6 URL"),
        ("http://127.0.0.1:99999/v1", "Port out of range"),
        ("http:///v1", "names no host"),
        ("ftp://127.0.0.1", "is no scheme"),
        ("unix://run/x.sock", "three slashes"),
        ("http://me:sk-hidden@127.0.0.1/v1", "holds credentials"),
    ],
)
def test_a_base_url_that_leads_nowhere_is_a_mistake_and_is_not_repeated(
    tmp_path: Path, base_url: str, words: str
) -> None:
    """Law: what would end the daemon at a reload is refused when it is read, without its credentials."""
    (problem,) = _problems(tmp_path, _BASE.replace("http://127.0.0.1:9/v1", base_url))
    assert words in problem
    assert "sk-hidden" not in problem


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('webhook = "http://hooks..example/sk-hidden"', "webhook cannot be used"),
        ('webhook = "https://[bad/sk-hidden"', "webhook cannot be used"),
        ('webhook = "http://127.0.0.1:99999/sk-hidden"', "webhook cannot be used"),
        ('webhook = "http://:80/sk-hidden"', "webhook cannot be used"),
        ('webhook = "http://a\\u0000b/sk-hidden"', "webhook must be"),
        ('webhook = "gopher://a/sk-hidden"', "webhook must be"),
        ('command = ["/bin/true", "a\\u0000b"]', "NUL"),
        ('command = [""]', "names no program"),
    ],
)
def test_an_alert_that_could_go_nowhere_is_a_mistake(tmp_path: Path, line: str, words: str) -> None:
    """Law: what could not be delivered is refused when it is read, without the token that it holds."""
    (problem,) = _problems(tmp_path, f"{_BASE}[alerts]\n{line}\n")
    assert words in problem
    assert "sk-hidden" not in problem


def test_a_key_pasted_where_its_variables_name_belongs_is_not_repeated(tmp_path: Path) -> None:
    """Law: no mistake makes a problem show a key."""
    (problem,) = _problems(tmp_path, _BASE.replace("models", 'api_key = "${env:sk-live-1234567890}"\nmodels', 1))
    assert "sk-live" not in problem
    assert "environment variable" in problem


def test_the_demo_needs_no_file() -> None:
    """Law: `--demo` serves the contract's workload and targets."""
    assert demo_configuration().workloads["demo"].targets == ("lab/fast", "lab/steady", "lab/flaky")


def test_without_anything_the_error_says_what_was_looked_for() -> None:
    """Law: an empty environment ends in advice."""
    with pytest.raises(ConfigError, match=r"OPENAI_API_KEY.*--demo"):
        load((), {})


def test_a_key_in_the_environment_is_a_provider() -> None:
    """Law: no configuration at all works with a key."""
    loaded = load((), {"OPENAI_API_KEY": "sk", "OPENAI_BASE_URL": "http://127.0.0.1:9/v1/"})
    assert loaded.providers["openai"].base_url == "http://127.0.0.1:9/v1"
    assert "openai/gpt-5" in loaded.workloads["default"].targets


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text() | st.builds(lambda cut, more: _CONTRACT[:cut] + more, st.integers(0, len(_CONTRACT)), st.text()))
def test_no_text_makes_loading_raise_anything_but_a_configuration_error(tmp_path: Path, text: str) -> None:
    """Law: whatever the file holds, the answer is a configuration or its problems."""
    file = tmp_path / "any.toml"
    file.write_text(text, errors="replace")
    with contextlib.suppress(ConfigError):
        assert load((file,), _KEYS).workloads


def test_keys_are_found_in_tables_inline_tables_and_dotted_keys() -> None:
    """Law: each key has the line that it stands on; text within strings is no key."""
    text = '[a."b c"]\nx = 1\ny.z = { inner = 2 }\ntext = """\nnot = "a key"\n"""\nlast = 1\n'
    lines = locate(text)
    assert lines["a", "b c", "x"] == 2
    assert lines["a", "b c", "y", "z", "inner"] == 3
    assert ("a", "b c", "not") not in lines
    assert lines["a", "b c", "last"] == 7


def test_the_schema_knows_every_section_and_spells_durations_as_people_do() -> None:
    """Law: editors get JSON Schema that fits the file."""
    schema = configuration_schema()
    assert json.loads(json.dumps(schema)) == schema
    assert set(schema["$defs"]["FileSettings"]["properties"]) >= {"daemon", "providers", "workloads", "health"}
    assert schema["$defs"]["Timeouts"]["properties"]["connect"]["type"] == "string"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (f"max_in_flight = {'9' * 5000}", "holds a number with too many digits"),
        ('api_key = "${file:/tmp/\\u0000}"', "its name is none"),
        ('api_key = "${cred:a\\nb}"', "refers to the credential a b"),
    ],
)
def test_what_no_file_should_hold_is_one_line_like_every_other_problem(tmp_path: Path, line: str, told: str) -> None:
    """Law: no text makes the loading fail otherwise, and none breaks a problem's line."""
    (problem,) = _problems(tmp_path, _BASE.replace("[workloads", f"{line}\n[workloads"))
    assert told in problem
    assert "\n" not in problem

"""What may stand next on a command line: read from the parsers themselves, so that it cannot lag behind them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.cli.actions import actions_of
from daemon.cli.completing import FILES, candidates
from daemon.cli.main import HIDDEN, VERBS, main, parser_of
from tests.rigs.process import LAB, Daemon, running


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Give a daemon with a workload and two targets."""
    with running(tmp_path_factory.mktemp("d"), LAB) as one:
        yield one


def _known(kind: str) -> list[str]:
    return {"targets": ["one/m", "two/qwen3:8b"], "workloads": ["chat"]}[kind]


def _words(*words: str) -> list[str]:
    return [one.word for one in candidates(words, _known)]


def test_the_first_word_is_a_verb() -> None:
    """Law: every verb that `fairlead --help` lists is offered, and nothing that it hides."""
    assert _words("") == [*VERBS, "--help", "--version"]
    assert _words("sta") == ["status"]
    assert not {*HIDDEN} & {*_words("")}


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_of_every_verb_is_offered(verb: str) -> None:
    """Law: what a verb's parser takes is what its completion offers."""
    spelled = {max(action.option_strings, key=len) for action in actions_of(parser_of(verb)) if action.option_strings}
    assert set(_words(verb, "-")) == spelled


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("probe", "one/m", "--kind", ""), ["liveness", "catalog", "canary"]),
        (("probe", "one/m", "--kind=c"), ["--kind=catalog", "--kind=canary"]),
        (("mock-fault", "chat", "over"), ["overloaded"]),
        (("mock-fault", "--count", "3", "chat", "over"), ["overloaded"]),
        (("config", ""), ["show", "init", "schema"]),
        (("config", "init", "--o"), ["--output"]),
        (("config", "init", "--output", ""), [FILES]),
        (("check", "--config="), [FILES]),
        (("completion", ""), ["bash", "zsh", "fish"]),
        (("status", ""), ["one/m", "two/qwen3:8b"]),
        (("drain", "two/"), ["two/qwen3:8b"]),
        (("mock-fault", "chat", "timeout", "--target", "o"), ["one/m"]),
        (("route", ""), ["chat"]),
        (("explain", ""), ["last", "chat"]),
        (("status", "one/m", "--json", "--w"), ["--watch"]),
        (("status", "--json", "--j"), []),
        (("drain", "one/m", "--reason", ""), []),
        (("nonsense", ""), []),
        ((), [*VERBS, "--help", "--version"]),
    ],
)
def test_what_may_stand_next_depends_on_what_stands_before(words: tuple[str, ...], offered: list[str]) -> None:
    """Law: choices, files and names are offered where they fit, an option only once."""
    assert _words(*words) == offered


def test_names_come_from_the_daemon_on_the_socket(daemon: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    """Law: the socket that the line names is the one that is asked."""
    for option in (["--socket", str(daemon.socket)], [f"--socket={daemon.socket}"]):
        assert main(["complete", "--", "status", *option, "t"]) == 0
        assert capsys.readouterr().out == "two/m\ttarget\n"


def test_without_a_daemon_there_are_no_names_and_no_complaint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Law: pressing Tab never prints an error."""
    assert main(["complete", "--", "status", "--socket", str(tmp_path / "none"), ""]) == 0
    assert capsys.readouterr() == ("", "")


def test_an_option_that_is_kept_to_itself_is_not_told() -> None:
    """Law: what `--help` suppresses, no completion and no manual shows."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--secret", help=argparse.SUPPRESS)
    assert actions_of(parser) == ()

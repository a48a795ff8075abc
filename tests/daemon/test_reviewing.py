"""Answers that a person is to look at: who may give a verdict, and that the first one holds."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from daemon.cli.main import main
from state.history.charges import Charged, ReviewRow
from state.history.migrations import open_history
from state.targets import TargetName
from tests.rigs.histories import fill, read
from tests.rigs.process import LAB, Daemon, running

_REVIEWS = "/fairlead/v1/reviews"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Give a daemon whose history holds ten answers that wait."""
    folder = tmp_path_factory.mktemp("d")
    charged = Charged("chat", "search", "ada")
    answers = tuple(
        ReviewRow(
            at=time.time(), request_id=f"req_{n}", target=TargetName("one/m"), charged=charged, sha256=f"{n}" * 64
        )
        for n in range(10)
    )
    with closing(open_history(folder / "history.sqlite")) as connection:
        fill(connection, answers)
    with running(folder, LAB) as one:
        yield one


def _pending(capsys: pytest.CaptureFixture[str], daemon: Daemon, way: str = "history") -> list[str]:
    assert main(["review", "--json", f"--{way}", str(getattr(daemon, way))]) == 0
    said = json.loads(capsys.readouterr().out)
    assert next(iter(said.items())) == ("schema", "fairlead.review/1")
    return [one["request_id"] for one in said["pending"]]


def test_a_verdict_takes_an_answer_from_those_that_wait(daemon: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    """It is in the history as soon as it is given, with who gave it and why; so is the operation."""
    assert {"req_0", "req_1"} <= set(_pending(capsys, daemon))
    assert main(["review", "approve", "req_0", "--reason", "harmless", "--socket", str(daemon.socket)]) == 0
    assert capsys.readouterr().out == "req_0 approved\n"
    assert main(["review", "reject", "req_1", "--json", "--socket", str(daemon.socket)]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["schema"], said["verdict"], said["request_id"]) == ("fairlead.review/1", "rejected", "req_1")
    assert not {"req_0", "req_1"} & set(_pending(capsys, daemon))
    rows = read(daemon.history, "SELECT request_id, verdict, by, reason FROM verdict WHERE request_id < 'req_2'")
    assert rows == [("req_0", "approved", said["by"], "harmless"), ("req_1", "rejected", said["by"], "")]
    told = read(daemon.history, "SELECT verb, reason FROM operation WHERE verb IN ('approve', 'reject') ORDER BY id")
    assert told[:2] == [("approve", "req_0: harmless"), ("reject", "req_1")]


def test_of_many_at_once_one_verdict_holds_and_the_others_are_told(daemon: Daemon) -> None:
    """409 with what was decided and by whom; nothing is written twice."""
    verdicts = [{"verdict": verdict} for verdict in ("approved", "rejected") * 8]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda verdict: daemon.ask("POST", f"{_REVIEWS}/req_2", verdict), verdicts))
    assert sorted(answer.status for answer in answers) == [200, *[409] * 15]
    held = next(answer.json()["verdict"] for answer in answers if answer.status == 200)
    refused = next(answer.json() for answer in answers if answer.status == 409)
    assert refused["type"] == "urn:fairlead:already_decided"
    assert f"req_2 was {held} by " in refused["detail"]
    assert read(daemon.history, "SELECT verdict FROM verdict WHERE request_id = 'req_2'") == [(held,)]
    assert read(daemon.history, "SELECT count(*) FROM gap") == [(0,)]


@pytest.mark.parametrize(
    ("request_id", "body", "status"),
    [
        ("req_nobody", {"verdict": "approved"}, 404),
        ("req_3", {"verdict": "perhaps"}, 400),
        ("req_3", {}, 400),
        ("req_3", {"verdict": "approved", "reason": "x" * 501}, 400),
        ("req_'--", {"verdict": "approved"}, 400),
    ],
)
def test_what_is_no_verdict_is_refused_and_nothing_is_decided(
    daemon: Daemon, request_id: str, body: object, status: int
) -> None:
    """An unknown request, an unknown word, too many of them."""
    assert daemon.ask("POST", f"{_REVIEWS}/{request_id}", body).status == status
    assert read(daemon.history, "SELECT count(*) FROM verdict WHERE request_id = 'req_3'") == [(0,)]


def test_the_verb_ends_as_the_contract_says(daemon: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    """Who names no request, or asks a list for a reason, is told; an unknown request and a second verdict are 1."""
    words = ["--socket", str(daemon.socket)]
    assert main(["review", "approve", *words]) == 2
    assert main(["review", "list", "req_3", *words]) == 2
    assert main(["review", "approve", "req_nobody", *words]) == 1
    assert "fairlead review" in capsys.readouterr().err
    assert main(["review", "reject", "req_4", *words]) == 0
    assert main(["review", "approve", "req_4", *words]) == 1
    assert "was rejected by" in capsys.readouterr().err


def test_the_list_shows_whose_answers_wait(daemon: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    """With the daemon, the longest waiting one first; the hash is long, and its beginning will do for people."""
    assert _pending(capsys, daemon, "socket")[-2:] == ["req_8", "req_9"]
    assert main(["review", "--socket", str(daemon.socket)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["AT", "REQUEST_ID", "WORKLOAD", "TARGET", "TEAM", "USER", "SHA256"]
    assert lines[-1].split()[1:] == ["req_9", "chat", "one/m", "search", "ada", "9" * 12]


def test_an_explained_request_tells_of_its_review(daemon: Daemon) -> None:
    """Pending without a verdict, and with who gave it after."""
    request_id = daemon.chat("chat").headers["x-request-id"]
    story = daemon.ask("GET", f"/fairlead/v1/explain/{request_id}").json()
    assert (story["reviews"], story["comparisons"]) == ([], [])


def test_an_empty_list_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And ends with 0: nothing is wrong."""
    open_history(tmp_path / "h.sqlite").close()
    assert main(["review", "--history", str(tmp_path / "h.sqlite")]) == 0
    assert capsys.readouterr().out == "no answer waits for a review\n"

"""Every event that the product logs has a stable id, and what explains them explains what there is."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.logs.kinds import KINDS, VARIES_BY
from tests.rigs.product import ROOT, Source, sources

SAYS = {"debug", "info", "warning", "error", "critical", "exception", "say", "tell"}
BY_OTHERS = {"say", "tell"}
"""How a method of the log is called that was handed on."""
CATALOG = (ROOT / "systemd" / "fairlead.catalog").read_text(encoding="utf-8")
EXPLAINED = dict(re.findall(r"^-- ([0-9a-f]{32})\n(.*?)(?=^-- |\Z)", CATALOG, re.MULTILINE | re.DOTALL))
IMPORTANT = {
    "fallback",
    "unanswered",
    "standing_changed/cooling",
    "standing_changed/healthy",
    "history_unwritable",
    "history_well",
    "reload_refused",
    "drained",
    "alert/budget",
    "alert/total_failure",
    "alert/credential",
    "ready",
    "stopping",
    "actor_hung",
    "left_out",
}


def _logged(source: Source) -> Iterator[str]:
    """Return the names of the events that a file logs: the literal first argument of `_log.warning(…)` and such."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = ast.unparse(node.func)
            name = called.rpartition(".")[2]
            event = str(node.args[0].value)
            if name in SAYS and re.fullmatch("[a-z_]+", event) and (called.startswith("_log.") or name in BY_OTHERS):
                yield event


LOGGED = {name for source in sources() for name in _logged(source)}


def test_the_search_finds_events() -> None:
    """A law about nothing holds always."""
    assert {"fallback", "limited", "standing_changed", "ready"} <= LOGGED


def test_every_event_has_an_id() -> None:
    """`journalctl MESSAGE_ID=…` finds each kind: name the new event in daemon/logs/kinds.py, with 128 random bits."""
    assert {name.partition("/")[0] for name in KINDS} >= LOGGED


def test_no_id_is_there_twice_and_each_is_one() -> None:
    """`systemd-id128 new` makes one."""
    ids = [kind.id for kind in KINDS.values()]
    assert len(set(ids)) == len(ids)
    assert [one for one in ids if not re.fullmatch(r"[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}", one)] == []


def test_every_variant_is_one_of_an_event_that_has_them() -> None:
    """`alert/budget` is an `alert`, and its field says so."""
    assert {name.partition("/")[0] for name in KINDS if "/" in name} <= set(VARIES_BY)


def test_the_catalog_explains_kinds_that_there_are_and_each_that_matters() -> None:
    """`journalctl -x` tells people what to do."""
    names = {kind.id: name for name, kind in KINDS.items()}
    assert set(EXPLAINED) <= set(names)
    assert {names[one] for one in EXPLAINED} >= IMPORTANT


def test_every_explanation_has_a_subject_and_where_to_ask() -> None:
    """What systemd's catalog asks of each."""
    for text in EXPLAINED.values():
        assert re.match(r"Subject: .+\nDefined-By: fairlead\nSupport: .+\nDocumentation: .+\n\n\S", text)


@pytest.mark.skipif(shutil.which("journalctl") is None, reason="there is no journalctl to read the catalog with")
def test_systemd_takes_the_catalog(tmp_path: Path) -> None:
    """Law: `journalctl --update-catalog` makes it into a database that has every explanation."""
    for folder in ("usr/lib/systemd/catalog", "var/lib/systemd/catalog"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(ROOT / "systemd" / "fairlead.catalog", tmp_path / "usr/lib/systemd/catalog")
    _journalctl(tmp_path, "--update-catalog")
    assert len(_journalctl(tmp_path, "--list-catalog").splitlines()) == len(EXPLAINED)


def _journalctl(root: Path, verb: str) -> str:
    command = ["journalctl", f"--root={root}", verb]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603


def test_the_document_lists_every_event_with_its_id() -> None:
    """docs/logs.md is what an id is looked up in; it also keeps an id from being changed."""
    text = (ROOT / "docs" / "logs.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| `([a-z_/]+)` \| [^|]+ \| `([0-9a-f]{32})` \|$", text, re.MULTILINE))
    assert listed == {name: kind.id for name, kind in KINDS.items()}

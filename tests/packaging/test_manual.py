"""The manual pages say everything that there is, and nothing that there is not."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from daemon.cli.actions import actions_of, children_of, positionals_of
from daemon.cli.main import VERBS, parser_of
from daemon.config.schema import configuration_schema
from daemon.manual.mdoc import code, plain, prose
from daemon.manual.pages import key_rows, page
from daemon.manual.tables import relations
from state.faults import NEVER_FALLBACK_ON
from tests.rigs.product import ROOT

_DOCS = ROOT / "docs"
_PAGES = ("fairlead.1", "fairlead.toml.5", "fairlead-history.5")
_SCHEMA = configuration_schema()
_SECTIONS = {
    "[daemon]": ("configuration.md", "`[daemon]`", "DaemonSettings"),
    "[keys.NAME]": ("configuration.md", "`[keys.NAME]`", "KeySettings"),
    "[providers.NAME]": ("configuration.md", "`[providers.NAME]`", "ProviderSettings"),
    "prices": ("costs.md", "key", "Price"),
    "[health]": ("configuration.md", "`[health]`", "HealthPolicy"),
    "[workloads.NAME]": ("configuration.md", "`[workloads.NAME]`", "WorkloadSettings"),
    "cascade": ("strategies.md", "`cascade`", "CascadePolicy"),
    "degraded": ("configuration.md", "`degraded`", "DegradedPolicy"),
    "[budgets]": ("limits.md", "`[budgets]`", "BudgetPolicy"),
    "[limits.NAME]": ("limits.md", "key of a limit", "LimitPolicy"),
    "[history]": ("configuration.md", "`[history]`", "HistoryPolicy"),
    "[alerts]": ("configuration.md", "`[alerts]`", "AlertPolicy"),
}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Give the file of each page."""
    folder = tmp_path_factory.mktemp("man")
    for name in _PAGES:
        (folder / name).write_text(page(_DOCS / "man" / name, _DOCS), encoding="utf-8")
    return {name: folder / name for name in _PAGES}


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8").replace("\\-", "-").replace("\\fB", "").replace("\\fR", "")


def _parts(text: str) -> Mapping[str, str]:
    """Return the subsections of a page by their names."""
    return dict(re.findall(r"^\.Ss (\S+)\n(.*?)(?=^\.S[sh] |\Z)", text, re.MULTILINE | re.DOTALL))


def _spellings(verb: str) -> Iterator[str]:
    parser = parser_of(verb)
    inner = [child for one in positionals_of(parser) for child, _ in children_of(one).values()]
    for each in (parser, *inner):
        yield from (option for action in actions_of(each) for option in action.option_strings if action.dest != "help")


def test_every_verb_and_option_is_in_the_page_of_the_command_and_no_other(pages: Mapping[str, Path]) -> None:
    """Law: fairlead(1) has a part for each verb, and in it every option that its parser takes."""
    parts = _parts(_text(pages["fairlead.1"]))
    assert list(parts) == list(VERBS)
    for verb, part in parts.items():
        items = "\n".join(re.findall(r"^\.(?:It|D1) .*", part, re.MULTILINE))
        assert {f"-{flag}" for flag in re.findall(r"Fl (\S+)", items)} == set(_spellings(verb)), verb


def test_every_exit_code_and_variable_is_in_the_page_of_the_command(pages: Mapping[str, Path]) -> None:
    """Law: what `--help` names besides options is there, too."""
    text = _text(pages["fairlead.1"])
    named = {name for verb in VERBS for name in re.findall(r"env: (\w+)", parser_of(verb).format_help())}
    assert named <= set(re.findall(r"\b[A-Z][A-Z_]+\b", text.partition(".Sh ENVIRONMENT")[2]))
    assert re.findall(r"^\.It (\d)$", text, re.MULTILINE) == list("0123456")


@pytest.mark.parametrize("section", _SECTIONS)
def test_every_key_of_a_section_has_an_entry_and_every_entry_is_a_key(section: str, pages: Mapping[str, Path]) -> None:
    """Law: the documents, of which the page is made, and the JSON Schema name the same keys."""
    document, header, struct = _SECTIONS[section]
    told = [key for keys, _, _ in key_rows(_DOCS, document, header) for key in keys]
    assert sorted(told) == sorted(_SCHEMA["$defs"][struct]["properties"])
    for key in told:
        assert re.search(rf"^\.It .*Ic {key}\b", _text(pages["fairlead.toml.5"]), re.MULTILINE)


def test_every_section_and_every_key_within_a_key_is_in_the_page_of_the_configuration(
    pages: Mapping[str, Path],
) -> None:
    """Law: what the schema knows, however deep, is spelled somewhere on the page."""
    words = set(re.findall(r"\w+", _text(pages["fairlead.toml.5"])))
    keys = {key for struct in _SCHEMA["$defs"].values() for key in struct.get("properties", {})}
    assert keys - words == set()
    choices = {one for struct in _SCHEMA["$defs"].values() for one in struct.get("enum", [])}
    assert choices - words <= {fault.value for fault in NEVER_FALLBACK_ON}


def test_every_table_view_and_column_is_in_the_page_of_the_history(pages: Mapping[str, Path]) -> None:
    """Law: the page names what a new history holds, and nothing else."""
    parts = _parts(_text(pages["fairlead-history.5"]))
    known = {one.name: one for one in relations()}
    assert set(parts) == set(known)
    for name, part in parts.items():
        columns = [column for column, _, _ in known[name].columns]
        assert re.findall(r"^\.(?:It )?Va (\w+)", part, re.MULTILINE) == columns


def test_every_table_and_column_says_what_it_is() -> None:
    """Law: the schema explains itself, also columns that a migration added."""
    assert [one.name for one in relations() if not one.text] == []
    columns = [(one.name, *column) for one in relations() if one.kind == "table" for column in one.columns]
    assert [f"{table}.{name}" for table, name, _, text in columns if not text] == []


@pytest.mark.parametrize("name", _PAGES)
def test_a_page_is_sound(name: str, pages: Mapping[str, Path]) -> None:
    """Law: mandoc finds nothing to warn of."""
    mandoc = shutil.which("mandoc")
    if mandoc is None:
        pytest.skip("no mandoc is installed")
    words = [mandoc, "-T", "lint", "-W", "warning", str(pages[name])]
    done = subprocess.run(words, check=False, capture_output=True, text=True)  # noqa: S603
    assert done.stdout == ""


@pytest.mark.parametrize("name", _PAGES)
def test_groff_takes_a_page(name: str, pages: Mapping[str, Path]) -> None:
    """Law: the formatter that most systems have warns of nothing either."""
    groff = shutil.which("groff")
    if groff is None:
        pytest.skip("no groff is installed")
    words = [groff, "-ww", "-mandoc", "-Tutf8", "-Kutf8", "-z", str(pages[name])]
    done = subprocess.run(words, check=False, capture_output=True, text=True)  # noqa: S603
    assert (done.returncode, done.stderr) == (0, "")


def test_text_cannot_become_a_request() -> None:
    """Law: a sentence that begins with a dot, or holds a backslash, is text."""
    assert prose(".so is said")[0] == "\\&.so is said"
    assert plain("a\\b…") == "a\\eb\\[u2026]"
    assert code("--json") == "\\fB\\-\\-json\\fR"

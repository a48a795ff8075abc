"""The sizes that keep the house readable: files, functions, parameters, folders."""

from __future__ import annotations

import ast
import statistics

from tests.rigs.product import PACKAGES, ROOT, functions, sources

FOLDERS_OF_MORE_THAN_NINE = {
    "daemon/routing": "one module for each question that a choice answers",
    "daemon/limits": "one module for each part of keeping accounts, and the words that they share",
    "daemon/config": "one module for each step from text to configuration",
    "daemon": "one module per part of the process; its concepts already have folders of their own",
    "daemon/cli": "one module per verb",
    "daemon/relay": "one request's way, step by step, each step a module",
    "daemon/whatif": "one module for each question that a simulation answers",
    "daemon/service": "one module per thing that the service manager and the process say to each other",
    "probes": "one module per step from a schedule to what a check found, and the words that they share",
    "probes/dialects": "one module per thing that a dialect can be asked",
    "probes/wire": "one module per layer of the wire",
    "state/history": "one module per thing that is done to the file",
    "state": "the words that everyone shares, one module each",
}


def test_no_file_is_longer_than_300_lines() -> None:
    """A file is read in one sitting."""
    assert [f"{source.name}: {source.lines}" for source in sources() if source.lines > 300] == []


def test_no_function_body_is_longer_than_40_lines() -> None:
    """A function is seen as a whole."""
    assert [f"{one.place}: {one.body_lines}" for one in functions() if one.body_lines > 40] == []


def test_the_median_function_is_short() -> None:
    """Half of all functions have at most 8 lines."""
    assert statistics.median(one.body_lines for one in functions()) <= 8


def test_no_function_takes_more_than_five_parameters() -> None:
    """What needs more is a value with a name."""
    assert [f"{one.place}: {len(one.parameters)}" for one in functions() if len(one.parameters) > 5] == []


def test_no_parameter_is_a_boolean() -> None:
    """A call site that says True says nothing: two functions, or a value with a name, say it."""
    booleans = [
        f"{one.place}({parameter.arg})"
        for one in functions()
        for parameter in one.parameters
        if parameter.annotation is not None and ast.unparse(parameter.annotation) in {"bool", "bool | None"}
    ]
    assert booleans == []


def test_a_folder_of_more_than_nine_files_is_a_list_of_one_kind() -> None:
    """A crowded folder wants a subfolder that is named after a concept, unless its files are all of one kind."""
    folders = {file.parent for package in PACKAGES for file in (ROOT / package).rglob("*.py")}
    crowded = {
        folder.relative_to(ROOT).as_posix()
        for folder in folders
        if len([file for file in folder.glob("*.py") if file.name != "__init__.py"]) > 9
    }
    assert crowded <= set(FOLDERS_OF_MORE_THAN_NINE)

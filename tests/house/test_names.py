"""Names that say what a thing is."""

from __future__ import annotations

import ast
from pathlib import PurePath

from tests.rigs.product import sources

SAYS_NOTHING = {"base", "common", "core", "helper", "helpers", "manager", "misc", "util", "utils"}


def test_no_file_or_folder_has_a_name_that_says_nothing() -> None:
    """`utils` is where code goes that nobody thought about."""
    named = [source.name for source in sources() if SAYS_NOTHING & set(PurePath(source.name).with_suffix("").parts)]
    assert named == []


def test_no_class_has_a_name_that_says_nothing() -> None:
    """A manager manages; a class is named after what it is."""
    classes = [
        f"{source.name}: {node.name}"
        for source in sources()
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ClassDef) and node.name.lower().endswith(tuple(SAYS_NOTHING))
    ]
    assert classes == []


def test_every_module_says_what_it_offers() -> None:
    """`__all__` is a module's face: what is not in it may change without a word."""
    silent = [
        source.name
        for source in sources()
        if not source.name.endswith("__init__.py")
        and "__all__" not in {name for node in source.tree.body for name in _assigned(node)}
    ]
    assert silent == []


def _assigned(node: ast.stmt) -> set[str]:
    return {ast.unparse(target) for target in node.targets} if isinstance(node, ast.Assign) else set()

"""The product's own source, parsed: what the laws of tests/house are checked on."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PACKAGES = ("daemon", "probes", "state")


class Source(NamedTuple):
    """One file of the product."""

    name: str
    """Its path from the project's root, such as `state/health.py`."""
    lines: int
    tree: ast.Module


class Function(NamedTuple):
    """One function or method, and where it stands."""

    place: str
    """`state/health.py:41 fold`."""
    node: ast.FunctionDef | ast.AsyncFunctionDef
    method: bool

    @property
    def body_lines(self) -> int:
        """How many lines its body has, without the docstring."""
        body = self.node.body[ast.get_docstring(self.node) is not None :]
        return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0

    @property
    def parameters(self) -> list[ast.arg]:
        """Its parameters of every kind, without the object or class that a method belongs to."""
        arguments = self.node.args
        positional = [*arguments.posonlyargs, *arguments.args]
        bound = self.method and "staticmethod" not in {ast.unparse(mark) for mark in self.node.decorator_list}
        more = [one for one in (arguments.vararg, arguments.kwarg) if one is not None]
        return [*positional[bound:], *arguments.kwonlyargs, *more]


@cache
def sources() -> tuple[Source, ...]:
    """Return every Python file of the three packages."""
    files = sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))
    texts = [(file, file.read_text(encoding="utf-8")) for file in files]
    return tuple(
        Source(file.relative_to(ROOT).as_posix(), len(text.splitlines()), ast.parse(text)) for file, text in texts
    )


@cache
def functions() -> tuple[Function, ...]:
    """Return every function and method of the product."""
    return tuple(function for source in sources() for function in _within(source.name, source.tree))


def _within(name: str, parent: ast.AST) -> Iterator[Function]:
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield Function(f"{name}:{node.lineno} {node.name}", node, isinstance(parent, ast.ClassDef))
        yield from _within(name, node)


def imported(source: Source) -> set[str]:
    """Return the modules that a file imports, wherever in it, by their full names."""
    modules: set[str] = set()
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            modules.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            modules.update({node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names})
    return modules


def dotted(source: Source) -> Iterator[tuple[int, str]]:
    """Return every dotted name that a file uses, such as `time.time`, with its line.

    A name that was imported from its module (`from time import monotonic`) is given in full.
    """
    full = {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ImportFrom) and not node.level
        for alias in node.names
    }
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute | ast.Name):
            first, *rest = ast.unparse(node).split(".")
            if all(part.isidentifier() for part in (first, *rest)):
                yield node.lineno, ".".join([full.get(first, first), *rest])

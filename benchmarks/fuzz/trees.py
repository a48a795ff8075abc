"""Mutations of structure: of JSON and TOML as trees, whose spelling may be one that no encoder would give."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from benchmarks.fuzz.odd import LITERALS, NUMBERS, TEXTS
from benchmarks.fuzz.surface import Luck

__all__ = ["Verbatim", "as_json", "as_toml", "json_tree", "mutated_tree", "toml_tree"]

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_Members = list[tuple[str, Any]]


class Verbatim(NamedTuple):
    """A value that is written as it stands."""

    text: str


class Table(NamedTuple):
    """An object: a list of members, so that a name may come twice."""

    members: _Members


def _tree(value: Any) -> Any:
    if isinstance(value, dict):
        return Table([(key, _tree(each)) for key, each in value.items()])
    if isinstance(value, list):
        return [_tree(each) for each in value]
    return value


def json_tree(text: bytes) -> Any:
    """Return the tree of a JSON text. Raises ValueError or RecursionError where it is none."""
    return _tree(json.loads(text))


def toml_tree(text: bytes) -> Any:
    """Return the tree of a TOML text. Raises ValueError or RecursionError where it is none."""
    return _tree(tomllib.loads(text.decode("utf-8")))


def as_json(tree: Any) -> bytes:
    """Write a tree as JSON, or what looks like it."""
    return _written(tree, _json_table).encode("utf-8", "surrogatepass")


def as_toml(tree: Any) -> bytes:
    """Write a tree as TOML, or what looks like it: each section one inline table or, as often, one of its own."""
    if not isinstance(tree, Table):
        return _written(tree, _toml_table).encode("utf-8", "surrogatepass")
    plain = [(key, value) for key, value in tree.members if not isinstance(value, Table)]
    lines = [f"{_key(key)} = {_written(value, _toml_table)}" for key, value in plain]
    for key, value in tree.members:
        if isinstance(value, Table):
            lines += _section((key,), value)
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def _section(path: tuple[str, ...], table: Table) -> Iterator[str]:
    if len(path) == 1 and table.members and all(isinstance(value, Table) for _, value in table.members):
        for key, value in table.members:
            yield from _section((*path, key), value)
        return
    yield f"[{'.'.join(map(_key, path))}]"
    yield from (f"{_key(key)} = {_written(value, _toml_table)}" for key, value in table.members)


def _written(tree: Any, table: Callable[[Table], str]) -> str:
    match tree:
        case Verbatim():
            return tree.text
        case Table():
            return table(tree)
        case list():
            return "[" + ", ".join(_written(each, table) for each in tree) + "]"
        case None | bool() | int() | float() | str():
            return json.dumps(tree, ensure_ascii=False)
        case _:
            return str(tree)  # TOML's dates and times


def _json_table(table: Table) -> str:
    return "{" + ",".join(f"{json.dumps(key)}:{_written(value, _json_table)}" for key, value in table.members) + "}"


def _toml_table(table: Table) -> str:
    return "{ " + ", ".join(f"{_key(key)} = {_written(value, _toml_table)}" for key, value in table.members) + " }"


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else json.dumps(key)


def mutated_tree(tree: Any, luck: Luck) -> Any:
    """Return the tree with one to three of its values, names or shapes changed."""
    for _ in range(luck.choice((1, 1, 1, 2, 3))):
        tree = _changed(tree, luck, luck.choice((0, 1, 2, 2, 3, 3, 4, 6)))
    return tree


def _changed(tree: Any, luck: Luck, depth: int) -> Any:
    """Go down at most `depth` steps by chance, and change what is there."""
    if depth > 0 and isinstance(tree, Table) and tree.members:
        place = luck.randrange(len(tree.members))
        key, value = tree.members[place]
        members = list(tree.members)
        members[place] = (key, _changed(value, luck, depth - 1))
        return Table(members)
    if depth > 0 and isinstance(tree, list) and tree:
        place = luck.randrange(len(tree))
        return [*tree[:place], _changed(tree[place], luck, depth - 1), *tree[place + 1 :]]
    return _other(tree, luck)


def _other(tree: Any, luck: Luck) -> Any:
    if isinstance(tree, Table) and luck.random() < 0.6:
        return _other_table(tree, luck)
    if isinstance(tree, list) and luck.random() < 0.6:
        return _other_list(tree, luck)
    return luck.choice((_number, _literal, _text, _text, _nested, _wrapped, _spelled))(tree, luck)


def _other_table(table: Table, luck: Luck) -> Table:
    members = list(table.members)
    place = luck.randrange(len(members)) if members else 0
    key, value = members[place] if members else ("a", 1)
    match luck.randrange(5):
        case 0 if members:
            del members[place]
        case 1:
            members.insert(luck.randrange(len(members) + 1), (key, _other(value, luck)))  # a name twice
        case 2 if members:
            members[place] = (luck.choice((*TEXTS, key.upper(), f"{key} ", key[:-1])), value)
        case 3 if members:
            members[place] = (key, members[luck.randrange(len(members))][1])
        case _:
            members.append((luck.choice(TEXTS), _other(None, luck)))
    return Table(members)


def _other_list(values: list[Any], luck: Luck) -> list[Any]:
    match luck.randrange(4):
        case 0:
            return values[: luck.randrange(len(values) + 1)]
        case 1:
            return (values or [None]) * luck.choice((2, 9, 100))
        case 2:
            return [*values, _other(None, luck)]
        case _:
            return values[::-1]


def _number(_: Any, luck: Luck) -> Any:
    return Verbatim(luck.choice(NUMBERS))


def _literal(_: Any, luck: Luck) -> Any:
    return Verbatim(luck.choice(LITERALS))


def _text(tree: Any, luck: Luck) -> Any:
    text = luck.choice(TEXTS)
    if isinstance(tree, str) and luck.random() < 0.5:
        place = luck.randrange(len(tree) + 1)
        return tree[:place] + text + tree[place:]
    return text


def _spelled(tree: Any, luck: Luck) -> Any:
    """Spell a text with escapes throughout."""
    if not isinstance(tree, str):
        return _text(tree, luck)
    return Verbatim('"' + "".join(f"\\u{ord(letter):04x}" for letter in tree if ord(letter) < 0x10000) + '"')


def _wrapped(tree: Any, luck: Luck) -> Any:
    return luck.choice(([tree], [tree, tree], Table([("a", tree)]), Table([("type", tree)]), Table([])))


def _nested(_: Any, luck: Luck) -> Any:
    deep = luck.choice((10, 120, 600, 1100, 5000))
    opening, closing = luck.choice((("[", "]"), ('{"a":', "}"), ("{ a = ", " }"), ("[[", "]"), ("[{", "")))
    return Verbatim(opening * deep + luck.choice(("", "1", "null", '"x"')) + closing * luck.choice((deep, deep, 0)))

"""Mutations of bytes, and of the structures that are recognised in them."""

from __future__ import annotations

from benchmarks.fuzz.odd import NUMBERS, SPLICES, TEXTS
from benchmarks.fuzz.surface import LONGEST, Luck, Mutate
from benchmarks.fuzz.trees import as_json, as_toml, json_tree, mutated_tree, toml_tree

__all__ = ["grown", "mixed", "mutated_bytes", "mutated_json", "mutated_lines", "mutated_toml"]


def mixed(*ways: Mutate) -> Mutate:
    """Return a mutation that goes one of `ways` by chance, and sometimes a second time."""

    def mutate(data: bytes, luck: Luck) -> bytes:
        mutated = luck.choice(ways)(data, luck)
        if luck.random() < 0.25:
            mutated = luck.choice(ways)(mutated, luck)
        return mutated[:LONGEST]

    return mutate


def mutated_bytes(data: bytes, luck: Luck) -> bytes:
    """Return `data` with a few bytes flipped, taken out, put in, repeated or cut off."""
    for _ in range(luck.choice((1, 1, 2, 4, 8))):
        data = _one(data, luck)
    return data


def _one(data: bytes, luck: Luck) -> bytes:
    begin = luck.randrange(len(data) + 1)
    end = min(len(data), begin + luck.choice((0, 1, 1, 2, 4, 16, 200)))
    match luck.randrange(7):
        case 0:
            new, end = bytes([luck.randrange(256)]), begin + 1
        case 1:
            new, end = luck.choice(SPLICES), begin
        case 2:
            new = b""
        case 3:
            new = data[begin:end] * luck.choice((2, 3, 50))
        case 4:
            new, end = b"", len(data)
        case 5:
            new = _odd(luck)
        case _:
            other = luck.randrange(len(data) + 1)
            new, end = data[other : other + 64], begin
    return data[:begin] + new + data[end:]


def _odd(luck: Luck) -> bytes:
    return luck.choice((*TEXTS, *NUMBERS)).encode("utf-8", "surrogatepass")


def mutated_lines(data: bytes, luck: Luck) -> bytes:
    """Return `data` with a line taken out, repeated, moved, ended otherwise, or with another value after its colon."""
    lines = data.splitlines(keepends=True) or [b""]
    place = luck.randrange(len(lines))
    name, colon, value = lines[place].partition(b":")
    match luck.randrange(7):
        case 0:
            del lines[place]
        case 1:
            lines[place] *= luck.choice((2, 3, 200))
        case 2:
            lines.insert(luck.randrange(len(lines) + 1), lines[place])
        case 3:
            lines[place] = lines[place].rstrip(b"\r\n") + luck.choice((b"\r", b"\n", b"\r\n", b"\n\n", b"", b"\r\r\n"))
        case 4:
            lines[place] = name + colon + b" " + _odd(luck) + b"\n"
        case 5:
            lines[place] = name.swapcase() + luck.choice((b"", b" ", b"\t", b"::")) + colon + value
        case _:
            return data.replace(b"\n", luck.choice((b"\r", b"\r\n", b"\n\r")))
    return b"".join(lines)


def mutated_json(data: bytes, luck: Luck) -> bytes:
    """Return the JSON `data` with its structure changed; its bytes, where it is no JSON or far too deep."""
    try:
        return as_json(mutated_tree(json_tree(data), luck))
    except (ValueError, RecursionError):
        return mutated_bytes(data, luck)


def mutated_toml(data: bytes, luck: Luck) -> bytes:
    """Return the TOML `data` with its structure changed; its bytes, where it is no TOML or far too deep."""
    try:
        return as_toml(mutated_tree(toml_tree(data), luck))
    except (ValueError, RecursionError):
        return mutated_bytes(data, luck)


def grown(data: bytes, luck: Luck, size: int) -> bytes:
    """Return `data` at `size` bytes, one of its parts repeated; the same part for the same luck."""
    begin = luck.randrange(len(data) + 1)
    part = data[begin : begin + luck.choice((1, 1, 2, 3, 8, 40, 400))] or b"a"
    return data[:begin] + part * (size // len(part) + 1) + data[begin + len(part) :]

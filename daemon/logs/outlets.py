"""Where lines and entries leave the process: standard error, and the journal while somebody reads it."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from collections import deque
from typing import Final

import msgspec

from daemon.logs.sentences import Entry
from daemon.service.journald import Delivery, JournalSocket, encode, prefixed

__all__ = ["JournalOutlet", "PrefixedOutlet", "StandardError"]

_WAITING: Final = 256
"""Entries that wait for a busy journal: a few hundred kilobytes at most."""
_PATIENCE_S: Final = 1.0
"""For what still waits at the end of the process."""


class StandardError:
    """Writes whole lines to a descriptor; where that is a socket, such as the journal's stream, without waiting."""

    def __init__(self, descriptor: int = 2) -> None:
        """Write to `descriptor`, which is not closed here."""
        self._descriptor = descriptor
        self._torn = b""
        """What ends a line of which only a part could be written."""
        self._stream = socket.socket(fileno=os.dup(descriptor)) if _is_socket(descriptor) else None

    def write(self, text: str) -> bool:
        """Write `text` and a line's end; return whether all of it went."""
        line = self._torn + text.encode("utf-8", "backslashreplace") + b"\n"
        try:
            written = self._stream.send(line, socket.MSG_DONTWAIT) if self._stream else os.write(self._descriptor, line)
        except OSError:
            return False
        self._torn = b"\n" if written < len(line) else b""
        return written == len(line)

    def close(self) -> None:
        """Write nothing more; the descriptor stays open."""
        if self._stream is not None:
            self._stream.close()


class PrefixedOutlet:
    """Tells entries as lines of standard error with their priority before them."""

    def __init__(self, stderr: StandardError) -> None:
        """Write to `stderr`."""
        self._stderr = stderr
        self._dropped = 0

    def msg(self, entry: Entry) -> None:
        """Write an entry, or count it."""
        entry = _counting(entry, self._dropped)
        self._dropped = 0 if self._stderr.write(prefixed(entry.message, entry.priority)) else self._dropped + 1

    debug = info = warning = error = critical = msg

    def close(self) -> None:
        """Write nothing more."""
        self._stderr.close()


class JournalOutlet:
    """Sends entries to the journal, in their order: what is busy waits a little, what is lost is counted and told."""

    def __init__(self, journal: JournalSocket, stderr: StandardError) -> None:
        """Send to `journal`, and write to `stderr` while nobody reads there."""
        self._journal = journal
        self._stderr = stderr
        self._waiting: deque[tuple[Entry, bytes]] = deque()
        self._dropped = 0

    def msg(self, entry: Entry) -> None:
        """Send an entry. Never waits."""
        if len(self._waiting) >= _WAITING:
            self.settle()
        if len(self._waiting) >= _WAITING:
            self._dropped += 1
            return
        entry = _counting(entry, self._dropped)
        self._dropped = 0
        self._waiting.append((entry, _encoded(entry)))
        self.settle()

    debug = info = warning = error = critical = msg

    def settle(self) -> None:
        """Send what waits, as far as the journal takes it."""
        while self._waiting and self._sent(*self._waiting[0]):
            self._waiting.popleft()

    def close(self) -> None:
        """Send what still waits, and give the journal a moment for each. For the end, when no loop is held up."""
        with contextlib.suppress(OSError):
            self._journal.be_patient(_PATIENCE_S)
            self.settle()
        self._journal.close()
        self._stderr.close()

    def _sent(self, entry: Entry, encoded: bytes) -> bool:
        """Return whether an entry need not wait any longer."""
        delivery = self._journal.send(encoded)
        if delivery is Delivery.AWAY and not self._stderr.write(prefixed(entry.message, entry.priority)):
            self._dropped += 1
        return delivery is not Delivery.LATER


def _encoded(entry: Entry) -> bytes:
    head = (("PRIORITY", str(int(entry.priority))), ("SYSLOG_IDENTIFIER", "fairlead"), ("MESSAGE", entry.message))
    return encode((*head, *entry.fields))


def _counting(entry: Entry, dropped: int) -> Entry:
    """Return `entry`, which tells how many before it did not go out."""
    if not dropped:
        return entry
    first, newline, rest = entry.message.partition("\n")
    message = f"{first} (before this, {dropped} could not be told){newline}{rest}"
    fields = (*entry.fields, ("FAIRLEAD_DROPPED", str(dropped)))
    return msgspec.structs.replace(entry, message=message, fields=fields)


def _is_socket(descriptor: int) -> bool:
    try:
        return stat.S_ISSOCK(os.fstat(descriptor).st_mode)
    except OSError:
        return False

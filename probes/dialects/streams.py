"""A provider's event stream as it passes: held until it says something, then watched to its end.

The bytes are never changed. Before the first content the stream can still be dropped for another target's, so its
preamble waits here. Afterwards each event is only skimmed for its end, its token counts and an error: a typed parse
of 250 bytes costs less than two searches for markers in them.
"""

from __future__ import annotations

from typing import Final

from probes.dialects.beginnings import Beginning
from probes.dialects.classify import Diagnosis, looks_like_html
from probes.dialects.complaints import decode
from probes.dialects.events import SAYS_NOTHING, SPEAKS, Meaning, read_event, skim_event
from probes.dialects.pace import Flow, spoken_tokens
from probes.dialects.replies import hidden_error
from probes.dialects.sse import EventSplitter
from probes.dialects.tokens import merged
from probes.surfaces import Surface
from state.faults import Fault
from state.outcome import Usage

__all__ = ["MAX_HELD_BYTES", "StreamReader"]

MAX_HELD_BYTES: Final = 256 * 1024
"""More preamble than this is let go: memory is bounded before fallbacks are possible."""


class StreamReader:
    """Reads one streamed answer on one surface; one reader a stream.

    committed: bytes of this stream have been given out for the client.
    finished: the provider said that the answer is complete (or, with a diagnosis, that it failed).
    diagnosis: the error that the stream itself reported. Not committed: another target may be tried, or `release`
    gives the client this one. Committed: the client has been told by the provider, unless that is `unsaid`.
    unsaid: the error stands where no client looks for one, such as a finish reason.
    usage: the tokens counted so far.
    said: about how many tokens of content came before it was committed; 0.0 while nothing did.
    """

    __slots__ = (
        "_beginning",
        "_enough",
        "_flow",
        "_held",
        "_held_bytes",
        "_splitter",
        "_surface",
        "committed",
        "diagnosis",
        "finished",
        "said",
        "unsaid",
        "usage",
    )

    def __init__(self, surface: Surface, enough: float = 0.0, beginning: Beginning | None = None) -> None:
        """Expect a stream of `surface`; hold it until it has said `enough` tokens, and `beginning` has heard enough."""
        self._surface = surface
        self._enough = enough
        self._beginning = beginning
        self.said = 0.0
        self._flow = Flow()
        self._splitter = EventSplitter()
        self._held: list[bytes] = []
        self._held_bytes = 0
        self.committed = False
        self.finished = False
        self.diagnosis: Diagnosis | None = None
        self.unsaid = False
        self.usage = Usage()

    def feed(self, piece: bytes) -> bytes:
        """Take the next piece as it arrived; return what goes to the client now, unmodified, `b""` while held."""
        passing = self.committed
        if not passing:
            self._hold(piece)
        self._watch(piece)
        if passing:
            return piece
        if self._held_bytes > MAX_HELD_BYTES:
            self._overflow()
        return self.release() if self.committed else b""

    def end(self) -> Diagnosis | None:
        """Return what was wrong with the stream, now that its body ended properly; None for a complete one."""
        if rest := self._splitter.rest():
            # Without its empty line an event is never dispatched.
            self._fold_unsent(read_event(self._surface, rest))
        if self.diagnosis is not None:
            return self.diagnosis
        if not self.committed and not self.said:
            return self._nothing_said()
        return None if self.finished else Diagnosis(Fault.CUT, "the stream ended without saying that it is complete")

    @property
    def proved(self) -> bool:
        """Whether it has said enough tokens to be let go, or was let go for another reason."""
        return self.committed or self.said >= self._enough

    @property
    def uncounted(self) -> float:
        """About how many tokens of content have come; 0.0 where the provider has counted all of them."""
        if self.finished and self.usage.completion_tokens is not None:
            return 0.0
        return self.said + self._flow.tokens

    def release(self) -> bytes:
        """Give up holding: return all that is held, and from now on each piece as it comes."""
        self.committed = True
        held = self._held[0] if len(self._held) == 1 else b"".join(self._held)
        self._held = []
        self._held_bytes = 0
        return held

    def _hold(self, piece: bytes) -> None:
        self._held.append(piece)
        self._held_bytes += len(piece)

    def _watch(self, piece: bytes) -> None:
        for event in self._splitter.feed(piece):
            meaning = skim_event(self._surface, event) if self.committed else None
            if meaning is None:
                meaning = read_event(self._surface, event)
            if self._beginning is not None and not self.committed:
                self._beginning.take(event)
            if meaning is SPEAKS:
                self._flow.add(len(event))
            elif meaning is not SAYS_NOTHING:
                self._fold(meaning, event)

    def _fold(self, meaning: Meaning, event: bytes) -> None:
        self._fold_unsent(meaning)
        if not meaning.content or self.diagnosis is not None or self.committed:
            return
        self.said += spoken_tokens(event) if self._enough or self._beginning is not None else 1.0
        self.committed = self.said >= self._enough and (self._beginning is None or self._beginning.enough)

    def _fold_unsent(self, meaning: Meaning) -> None:
        """Take in an event whose content no client sees; its counts, its end and its error are known all the same."""
        if meaning.usage is not None:
            self.usage = merged(self.usage, meaning.usage, self._surface)
        self.finished = self.finished or meaning.finished
        self.unsaid = self.unsaid or (meaning.unsaid and self.diagnosis is None)
        self._note(meaning.diagnosis)

    def _note(self, diagnosis: Diagnosis | None) -> None:
        if diagnosis is None or self.diagnosis is not None:
            return
        # A filter that steps in after content ends a good answer early, and the client reads so in it.
        if not (self.committed and diagnosis.fault is Fault.CONTENT_FILTER):
            self.diagnosis = diagnosis

    def _overflow(self) -> None:
        foreign = _foreign(b"".join(self._held))
        if foreign is None:
            self.committed = True
            return
        self._note(foreign)
        # Not a stream at all: enough is kept to say so, the rest is nobody's.
        del self._held[1:]
        self._held_bytes = len(self._held[0])

    def _nothing_said(self) -> Diagnosis:
        body = b"".join(self._held)
        if not body.strip():
            return Diagnosis(Fault.BAD_REPLY, "200 with an empty stream")
        if (error := self._plain_error(body)) is not None:
            return error
        return _foreign(body) or Diagnosis(Fault.BAD_REPLY, "200 with a stream that ended before any content")

    def _plain_error(self, body: bytes) -> Diagnosis | None:
        value = decode(body)
        if not isinstance(value, dict) or not (value.get("error") or value.get("type") == "error"):
            return None
        return hidden_error(self._surface, body)


def _foreign(body: bytes) -> Diagnosis | None:
    """Say what came in place of a stream; None where it may be one."""
    if looks_like_html("", body):
        return Diagnosis(Fault.BAD_REPLY, "200 with an HTML page instead of a stream")
    if body[:64].lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"{", b"[", b'"')):
        return Diagnosis(Fault.BAD_REPLY, "200 with plain JSON instead of a stream")
    return None

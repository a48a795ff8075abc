"""Every kind of event that the log knows: its stable id, how urgent it is, and the sentence that tells it.

An id was drawn once at random and never changes: `journalctl MESSAGE_ID=…` and `systemd/fairlead.catalog` live by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Any, Final

import msgspec

__all__ = ["KINDS", "VARIES_BY", "Kind", "Priority", "kind_of", "priority_of"]


class Priority(IntEnum):
    """syslog(3)'s priorities, as far as they are used."""

    CRITICAL = 2
    ERROR = 3
    WARNING = 4
    NOTICE = 5
    INFO = 6
    DEBUG = 7


class Kind(msgspec.Struct, frozen=True):
    """One kind of event."""

    id: str
    """128 random bits in hex."""
    text: str = ""
    """A sentence with `{fields}`; empty where the event's name says enough."""
    priority: Priority | None = None
    """None leaves it to the level that the event was logged at."""


_LEVELS: Final = {
    "debug": Priority.DEBUG,
    "info": Priority.INFO,
    "warning": Priority.WARNING,
    "error": Priority.ERROR,
    "critical": Priority.CRITICAL,
}
VARIES_BY: Final[Mapping[str, str]] = MappingProxyType(
    {"alert": "kind", "limited": "outcome", "standing_changed": "after"}
)
"""The events that are several kinds, and the field that says which: `alert/budget`."""
_CRITICAL, _NOTICE = Priority.CRITICAL, Priority.NOTICE
_WARNING, _INFO = Priority.WARNING, Priority.INFO

_OF_REQUESTS: Final = {
    # The client was served: what a person has to look into is an ejection or an alert, not each of these.
    "fallback": Kind(
        "65ecf06fa7814950a83e2369991d5627",
        "{workload} fell back from {from_target} to {fallback}: {reason}",
        _NOTICE,
    ),
    "escalation": Kind(
        "635ca3104451409f95e096870d8afe1a", "{workload} asked {fallback} after {from_target}: {reason}", _INFO
    ),
    "hedge": Kind(
        "b11fed7739ef4dc082c9b148ae03c017", "{workload} asked {hedge} beside a silent {target}, and it {hedged}"
    ),
    "limited": Kind("d97f2df417b544a5a0d5e7d896d36bcc", "Limit {limit} ({outcome}): {reason}"),
    "limited/refused": Kind("4db78cbe9ff44f90a4c300c3b63f3669", "Limit {limit} refused a request: {reason}"),
    "refused": Kind("c97c6e4608f541949f401fd8e408bcb3", "A request was refused: {reason}"),
    "unanswered": Kind("5b52ff25029e4f1bbc178efea64dc17f", "{workload} left a client without its answer: {fault}"),
    "request_failed": Kind("5de6238368314cbd8051d52f0816fa6a", "fairlead itself failed at a request of {path}"),
    "requests_cut_off": Kind("62f2ed2891654b83aa6e30dc2e5ec76f", "Requests were cut off: drain_grace was over"),
    "check_not_done": Kind("4c4de5eacff842bc80b4966a08428a1d", "The check of {workload}'s answers failed: {reason}"),
    "reservation_not_saved": Kind(
        "89a59f3c84af461da226e9287bbf2ba5", "A reservation for {target} is not in the history yet"
    ),
}
_OF_TARGETS: Final = {
    "standing_changed": Kind(
        "c89d6eaf17504f71983fbf38caaa6f63", "{target} was {before} and is {after}: {cause}", _INFO
    ),
    "standing_changed/cooling": Kind(
        "e75eafb603004ed9b83104af53ab9ab5", "{target} is ejected for {cooldown_s} s: {cause}", _WARNING
    ),
    "standing_changed/healthy": Kind("fc82430a7a7342399a4a4620e001cac8", "{target} is back: {cause}", _NOTICE),
    "drained": Kind("b000923332c54caf9de90775a3522f38", "{by} drained {target}", _NOTICE),
    "resumed": Kind("2c2523deca804995b13a606c14037180", "{by} resumed {target}", _NOTICE),
    "drain_expired": Kind("cc9537ac5b2a412290f4028a45c29b56", "The drain of {target} is over", _NOTICE),
    "status_page_unread": Kind(
        "9278a8154eec4944b6db8d8b94eb343b", "The status page of {provider} cannot be read: {reason}"
    ),
    "evidence_dropped": Kind("69fdeb6ba6654754815511850bc30b34", "{count} pieces of evidence were dropped"),
}
_OF_ALERTS: Final = {
    "alert": Kind("fedf60ac0e5043e3aae722af6c706e99", "Alert: {message}"),
    "alert/total_failure": Kind("e59ff2c5d9984dbb9473ab0f6bf5790a", "Alert: {message}", _CRITICAL),
    "alert/fallback_rate": Kind("926577f682074a90a479d1dd299107c6", "Alert: {message}"),
    "alert/credential": Kind("833a8e9452ff4645b744e49aa620a07d", "Alert: {message}"),
    "alert/budget": Kind("874a9e1ce3f6403ca63c9099908c5e44", "Alert: {message}"),
    "alert_not_delivered": Kind("faf01a39dc87481cae15146b0d5bfa25", "An alert did not reach {to}: {reason}"),
}
_OF_THE_SERVICE: Final = {
    "ready": Kind("bb068494f2d34e50814f127d37899ebf", "fairlead is ready on {socket}", _NOTICE),
    "stopping": Kind("59ffc9967c84478b8f30d7e2deb6daa6", "fairlead is stopping: {signal}", _NOTICE),
    "signal_ignored": Kind("6026823ca6c648e0ab8f0448a25b9ef1", "{signal} was ignored: {remedy}"),
    "crashed": Kind("2c7b62989242470fbb87335cd1232ddb", "fairlead met a mistake of its own and ends"),
    "actor_hung": Kind("acb86332c3fb471fba9b2260ccd97afe", "The {actor} hangs at {waits_at}", _CRITICAL),
    "listen_skipped": Kind("a0fe9e8266e74c7680404d566c49b060", "Not every address is listened on: {reason}"),
    "connections_refused": Kind("1b1b72b047d04a59b161fc8df42d60aa", "Connections were refused or ended: {reasons}"),
    "max_connections_lowered": Kind(
        "c4583cc5c0e14f279e26e96d62c92edd",
        "Only {max_connections} connections: {descriptors} descriptors are all there are",
    ),
    "threads_left_behind": Kind(
        "8d41f3a3d29843d8b6727005732af6d3", "fairlead ends while a disk holds up a thread: {remedy}"
    ),
    "simulation_started": Kind("bdcb2b84adc2481d98c2006637bfc896", "The simulated provider {provider} runs"),
    "configuration_warning": Kind("e008a859eaec419e8faa3419c58dccf2", "The configuration: {warning}"),
    "reloaded": Kind("7b1aaa1aa09440f69ddd48d5064ca0ca", "A new configuration is in force, asked for by {by}", _NOTICE),
    "reload_refused": Kind("895cc269753a48b98302a5e37480fd3b", "The new configuration is refused, the old one stays"),
    "keys_changed": Kind("a7afbecd0f0a46f2a589f90d6d751002", "Keys have changed", _NOTICE),
    "restart_needed": Kind("45fa7eec153e4b2882271d6856f9086a", "A restart is needed for what changed: {changed}"),
    "prober_not_told": Kind("cc981873ddcf4fd6a63640932c7114fe", "The prober has not heard of the reload: {remedy}"),
    "library_trouble": Kind("134ebcba2bdc405a8031d70cbc1d390f", "The library {library} says: {text}"),
    "left_out": Kind("545c56080fd1456c843a8e8b9f10db6b", "{count} more events of the kind {kind} were left out"),
}
_OF_THE_HISTORY: Final = {
    "history_unwritable": Kind("5d7f5ce5e8ee49fc807841f853198e9c", "The history is not written: {reason}"),
    "history_well": Kind("474cae9358bd40c0aa6ee9b11fd0e3bd", "The history is written again", _NOTICE),
    "history_set_aside": Kind("f0e641bd3492425d94a094b4149ac05e", "The history was damaged and is now {aside}"),
    "history_not_flushed": Kind("ca5a8c947f6c4802a4117aabcbb3bca8", "The history was not written to its end"),
    "history_backed_up": Kind("0594dd7d7bab4d2c9a1fa3be1064196f", "The history was copied to {copy}", _NOTICE),
    "history_recalled": Kind("3ce3f41fce6241feafe64bae0e89cd69", "{outcomes} outcomes came back from the history"),
    "history_not_recalled": Kind("0c307a6501d14f15a24d8b858679f9ad", "Nothing came back from the history: {reason}"),
    "answers_unavailable": Kind("c8ec0e373a4e45f09c4ee7df89d6815a", "Kept answers are unavailable: {cause}"),
}
KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    _OF_REQUESTS | _OF_TARGETS | _OF_ALERTS | _OF_THE_SERVICE | _OF_THE_HISTORY
)
"""By the event's name; a variant of one as `event/value`, as VARIES_BY has it."""


def kind_of(event: Mapping[str, Any]) -> Kind | None:
    """Return the kind of a structlog event, None where its name is unknown (a plug-in's own)."""
    name = event.get("event", "")
    if (field := VARIES_BY.get(name)) is not None:
        variant = KINDS.get(f"{name}/{event.get(field)}")
        if variant is not None:
            return variant
    return KINDS.get(name)


def priority_of(kind: Kind | None, level: str) -> Priority:
    """Return how urgent an event of `kind` is that was logged at `level`."""
    if kind is not None and kind.priority is not None:
        return kind.priority
    return _LEVELS.get(level, Priority.INFO)

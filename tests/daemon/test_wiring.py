"""Who posts to whom has no circle."""

from __future__ import annotations

from graphlib import TopologicalSorter

from daemon.assembly import WIRING


def test_the_mailbox_graph_has_no_circle() -> None:
    """Law: full mailboxes cannot deadlock, since nobody waits, by any detour, for a mailbox of their own."""
    assert list(TopologicalSorter(WIRING).static_order())[-1] in {"control", "session"}


def test_actors_never_post_to_the_prober_and_the_dispatcher_posts_to_nobody() -> None:
    """Law: evidence flows one way: eyes, registry, dispatcher and recorder."""
    assert not WIRING["dispatcher"]
    assert not WIRING["recorder"]
    assert not any("prober" in WIRING[actor] for actor in ("prober", "registry", "dispatcher", "recorder"))

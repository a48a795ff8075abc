"""A target: one model at one provider, written `provider/model`."""

from __future__ import annotations

from typing import NewType

__all__ = ["TargetName", "provider_of", "split_target", "target_name"]

TargetName = NewType("TargetName", str)
"""`provider/model`. The provider's name holds no slash; the model's may (`openrouter/meta/llama-4`)."""


def target_name(provider: str, model: str) -> TargetName:
    """Return the name of `model` at `provider`."""
    return TargetName(f"{provider}/{model}")


def split_target(target: TargetName) -> tuple[str, str]:
    """Return (provider, model) of a target's name: the first slash divides them."""
    provider, _, model = target.partition("/")
    return provider, model


def provider_of(target: TargetName) -> str:
    """Return the name of the provider that serves `target`."""
    return target.partition("/")[0]

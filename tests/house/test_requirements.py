"""The pinned packages are those that pyproject.toml asks for, and name no place to get them from."""

from __future__ import annotations

import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.rigs.product import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def _pinned(*names: str) -> dict[str, str]:
    """Return the version of each package in the files `requirements/NAME.txt`."""
    lines = [line for name in names for line in (ROOT / "requirements" / f"{name}.txt").read_text("utf-8").splitlines()]
    pins = [line.split("==") for line in lines if line and not line.startswith(("#", "-r "))]
    return {canonicalize_name(name): version for name, version in pins}


def _outside(asked: list[str], pinned: dict[str, str]) -> list[str]:
    """Return the requirements whose package is not pinned, or pinned to a version that they exclude."""
    wanted = [Requirement(text) for text in asked]
    return [str(one) for one in wanted if not one.specifier.contains(pinned.get(canonicalize_name(one.name), "0.dev0"))]


def test_every_runtime_package_is_pinned_within_its_range() -> None:
    """`make demo` installs what the project says it runs on."""
    assert _outside(PROJECT["project"]["dependencies"], _pinned("runtime")) == []


def test_every_development_package_is_pinned_within_its_range() -> None:
    """`make test` checks with the tools that the project names."""
    assert _outside(PROJECT["dependency-groups"]["dev"], _pinned("runtime", "dev")) == []


@pytest.mark.parametrize("name", ["requirements/runtime.txt", "requirements/dev.txt", "package-lock.json"])
def test_a_lock_names_no_place_to_get_packages_from(name: str) -> None:
    """Whose mirror serves a package is a matter of the machine, not of the project."""
    assert "://" not in (ROOT / name).read_text(encoding="utf-8")

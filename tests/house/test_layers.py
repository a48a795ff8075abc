"""The layers, and the one folder that the three packages lie in."""

from __future__ import annotations

import importlib
import importlib.metadata
from pathlib import Path

from importlinter.cli import lint_imports

from tests.rigs.product import PACKAGES, ROOT


def test_no_import_goes_against_the_layers() -> None:
    """`daemon -> probes -> state`, and the other contracts of import-linter in pyproject.toml."""
    assert lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True) == 0


def test_the_three_packages_lie_in_one_folder() -> None:
    """`import daemon` means ours: python-daemon has a package of that name, and would win silently."""
    homes = {Path(importlib.import_module(package).__file__ or "").parents[1] for package in PACKAGES}
    assert homes == {ROOT}


def test_no_other_distribution_owns_a_file_in_them() -> None:
    """An environment with python-daemon in it is broken, and says so here."""
    owners = importlib.metadata.packages_distributions()
    assert {owner for package in PACKAGES for owner in owners.get(package, [])} <= {"fairlead"}

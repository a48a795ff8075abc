"""What packages are made of, once for all tests that install one."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from daemon.version import VERSION
from tests.rigs.product import ROOT

_NEWER = "99.0"
_CHECKOUT = ("daemon", "probes", "state", "deploy", "systemd", "docs", "requirements")


@pytest.fixture(scope="session")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with the wheels, the package, a newer package, and what `make install` needs of a checkout.

    It takes a network, so whoever asks for it first asks $FAIRLEAD_REQUIRE_PACKAGE.
    """
    folder = tmp_path_factory.mktemp("given")
    _make(["deploy/wheels.sh", str(folder / "wheels")], dict(os.environ))
    _make(["deploy/deb.sh", str(folder)], {**os.environ, "FAIRLEAD_WHEELS": str(folder / "wheels")})
    (package,) = folder.glob("*.deb")
    package.rename(folder / "fairlead.deb")
    _renew(folder)
    for name in _CHECKOUT:
        shutil.copytree(ROOT / name, folder / "checkout" / name)
    for name in ("README.md", "CHANGELOG.md", "fairlead.example.toml"):
        shutil.copy(ROOT / name, folder / "checkout")
    folder.chmod(0o755)
    return folder


def _make(words: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(words, check=False, capture_output=True, text=True, cwd=ROOT, env=environment)  # noqa: S603
    assert done.returncode == 0, done.stderr


def _renew(folder: Path) -> None:
    """Make a package of a newer version, with a file more and one less, out of the package."""
    opened = folder / "opened"
    subprocess.run(["dpkg-deb", "-R", folder / "fairlead.deb", opened], check=True)  # noqa: S603, S607
    control = opened / "DEBIAN/control"
    control.write_text(control.read_text().replace(f"Version: {VERSION}", f"Version: {_NEWER}"))
    (opened / "opt/fairlead/newer").touch()
    (opened / "usr/share/doc/fairlead/README.md.gz").unlink()
    words = ["dpkg-deb", "-Zgzip", "-z1", "--root-owner-group", "-b", opened, folder / "newer.deb"]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
    shutil.rmtree(opened)

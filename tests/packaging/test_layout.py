"""What an installation consists of, laid out in a folder: without a network, without root."""

from __future__ import annotations

import gzip
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.cli.main import main
from daemon.version import VERSION
from tests.rigs.product import ROOT

_HOME = "/srv/fairlead"
_UNITS = sorted(file for pattern in ("*.service", "*.socket") for file in (ROOT / "systemd").glob(pattern))
_USER_UNITS = sorted(file for file in (ROOT / "systemd/user").iterdir())


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a root with everything but the environment, which is said to be at another place than usual."""
    folder = tmp_path_factory.mktemp("tree")
    words = [str(ROOT / "deploy/files.sh"), sys.prefix, _HOME, str(folder)]
    environment = {**os.environ, "PREFIX": "/usr/local", "SYSTEMD": "", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, check=False, capture_output=True, text=True, env=environment)  # noqa: S603
    assert done.returncode == 0, done.stderr
    return folder / "usr/local"


def test_every_unit_is_where_systemd_looks_for_it_and_names_the_environment(tree: Path) -> None:
    """Law: what is in systemd/ is installed, with the environment's own place in it."""
    system, user = tree / "lib/systemd/system", tree / "lib/systemd/user"
    assert sorted(file.name for file in system.iterdir()) == [file.name for file in _UNITS]
    assert sorted(file.name for file in user.iterdir()) == [file.name for file in _USER_UNITS]
    for file in (*system.iterdir(), *user.iterdir()):
        assert "/opt/fairlead" not in file.read_text(encoding="utf-8")
    assert f"ExecStart={_HOME}/bin/fairlead serve" in (system / "fairlead.service").read_text(encoding="utf-8")


def test_user_folders_and_catalog_are_named_as_systemd_wants_them(tree: Path) -> None:
    """Law: sysusers and tmpfiles end in .conf, and the catalog is beside systemd's own."""
    places = ("lib/sysusers.d/fairlead.conf", "lib/tmpfiles.d/fairlead.conf", "lib/systemd/catalog/fairlead.catalog")
    assert [place for place in places if not (tree / place).is_file()] == []


def test_the_command_pages_and_completions_are_there(tree: Path) -> None:
    """Law: a link to the command, the pages as man reads them, and what `fairlead completion` prints."""
    assert (tree / "bin/fairlead").readlink() == Path(_HOME) / "bin/fairlead"
    for page in ("man1/fairlead.1", "man5/fairlead.toml.5", "man5/fairlead-history.5"):
        assert gzip.decompress((tree / f"share/man/{page}.gz").read_bytes()).startswith(b'.\\"')
    completions = ("bash-completion/completions/fairlead", "zsh/site-functions/_fairlead")
    for completion in (*completions, "fish/vendor_completions.d/fairlead.fish"):
        assert (tree / "share" / completion).is_file()


def test_the_configuration_that_is_installed_is_valid(capsys: pytest.CaptureFixture[str]) -> None:
    """Law: a fresh installation starts."""
    assert main(["check", "--config", str(ROOT / "deploy/fairlead.toml")]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("script", sorted((ROOT / "deploy").glob("*.sh")), ids=lambda file: file.name)
def test_a_script_is_for_any_shell(script: Path) -> None:
    """Law: `sh` understands it, and what is run and not sourced may be run."""
    done = subprocess.run(["sh", "-n", script], check=False, capture_output=True, text=True)  # noqa: S603, S607
    assert (done.returncode, done.stderr) == (0, "")
    assert os.access(script, os.X_OK) == script.read_text(encoding="utf-8").startswith("#!")


def test_the_package_has_the_version_of_the_program() -> None:
    """Law: debian/changelog and daemon/version.py name the same version."""
    newest = (ROOT / "debian/changelog").read_text(encoding="utf-8").splitlines()[0]
    assert re.findall(r"\((.*?)\)", newest) == [VERSION]


def test_someone_who_is_not_root_is_told_so() -> None:
    """Law: whoever may not change the system is told before anything is done."""
    if os.geteuid() == 0:
        pytest.skip("root may")
    done = subprocess.run([ROOT / "deploy/install.sh"], check=False, capture_output=True, text=True)  # noqa: S603
    assert done.returncode == 1
    assert "run it as root, or give a DESTDIR" in done.stderr

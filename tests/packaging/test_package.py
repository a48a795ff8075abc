"""The Debian package and `make install`, each in a clean root: installed, run, renewed, removed.

They take a network once, a minute and root, so `make test-package` asks for them (FAIRLEAD_REQUIRE_PACKAGE), as CI
does; whatever is missing is then a failure.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.version import VERSION
from tests.rigs.clean_root import CleanRoot, Unavailable, clean_root
from tests.rigs.product import ROOT

pytestmark = pytest.mark.skipif(
    not os.environ.get("FAIRLEAD_REQUIRE_PACKAGE"),
    reason="`make test-package` installs the package in a clean root: a minute, a network once, root",
)
_UNITS = sorted(file.name for pattern in ("*.service", "*.socket") for file in (ROOT / "systemd").glob(pattern))
_LEFT_BY_OTHERS = ("/var/cache", "/var/log", "/etc/group", "/etc/gshadow", "/etc/passwd", "/etc/shadow", "/etc/sub")
"""What managing users and packages leaves behind, whoever they were."""


@pytest.fixture
def root(tmp_path: Path, given: Path) -> Iterator[CleanRoot]:
    """Give a fresh root, with the packages at /given."""
    try:
        with clean_root(tmp_path / "root", given) as fresh:
            yield fresh
    except Unavailable as problem:
        pytest.fail(str(problem))


def _answers(root: CleanRoot, command: str) -> None:
    """Run the daemon as its user and ask it for an answer over its socket."""
    places = ["--socket", "/tmp/f.sock", "--history", "/var/lib/fairlead/history.sqlite", "--listen", "none"]  # noqa: S108
    become = ["setpriv", "--reuid=fairlead", "--regid=fairlead", "--init-groups"]
    words = root.command(*become, command, "serve", "--config", "/etc/fairlead/fairlead.toml", *places)
    root.run("install", "-d", "-o", "fairlead", "-g", "fairlead", "/var/lib/fairlead")
    daemon = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # noqa: S603
    try:
        waiting = "for try in $(seq 100); do [ -S /tmp/f.sock ] && exit 0; sleep 0.1; done; exit 1"
        root.run("sh", "-c", waiting)
        assert '"lab/fast"' in root.run(command, "status", "--json", "--socket", "/tmp/f.sock", check=False).stdout  # noqa: S108
    finally:
        daemon.terminate()
        said = daemon.communicate()[0].decode()
    assert daemon.returncode == 0, said
    root.run("test", "-s", "/var/lib/fairlead/history.sqlite")


def _is_sound(root: CleanRoot, folder: str) -> None:
    """Check the units as systemd reads them."""
    units = [f"{folder}/{name.replace('@.', '@one.')}" for name in _UNITS]
    done = root.run("systemd-analyze", "verify", "--man=no", *units, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_package_is_installed_run_renewed_removed_and_purged(root: CleanRoot) -> None:
    """Law: an upgrade keeps what is people's, a removal too, and a purge leaves the root as it was."""
    before = root.files()
    root.run("dpkg", "-i", "/given/fairlead.deb")
    assert root.run("fairlead", "version").stdout == f"fairlead {VERSION}\n"
    assert root.run("stat", "-c", "%a %U %G", "/etc/fairlead/fairlead.toml").stdout == "640 root fairlead\n"
    _is_sound(root, "/usr/lib/systemd/system")
    _answers(root, "fairlead")

    root.run("sh", "-c", "echo '# mine' >> /etc/fairlead/fairlead.toml")
    root.run("dpkg", "-i", "/given/newer.deb")
    assert "# mine" in root.run("cat", "/etc/fairlead/fairlead.toml").stdout
    assert root.run("stat", "-c", "%a %U %G", "/etc/fairlead/fairlead.toml").stdout == "640 root fairlead\n"
    root.run("test", "-e", "/opt/fairlead/newer", "-a", "!", "-e", "/usr/share/doc/fairlead/README.md.gz")
    _answers(root, "fairlead")

    root.run("dpkg", "-r", "fairlead")
    left = root.files()
    assert not any(name.startswith("/opt/fairlead") for name in left)
    assert {"/etc/fairlead/fairlead.toml", "/var/lib/fairlead/history.sqlite"} <= left

    root.run("dpkg", "-P", "fairlead")
    assert sorted(name for name in root.files() - before if not name.startswith(_LEFT_BY_OTHERS)) == []
    assert root.run("getent", "passwd", "fairlead", check=False).stdout == ""
    assert root.run("getent", "group", "fairlead", check=False).stdout == ""


def test_the_package_holds_nothing_of_where_it_was_built(root: CleanRoot) -> None:
    """Law: no path of the builder's, no compiled file, and the interpreter is the system's."""
    root.run("dpkg-deb", "-x", "/given/fairlead.deb", "/tmp/x")  # noqa: S108
    held = root.run("grep", "-rlE", f"{ROOT}|/tmp/tmp\\.|\\.pyc$", "/tmp/x/opt", check=False)  # noqa: S108
    assert held.stdout == ""
    assert root.run("find", "/tmp/x", "-name", "__pycache__").stdout == ""  # noqa: S108
    assert root.run("readlink", "/tmp/x/opt/fairlead/bin/python3").stdout == "/usr/bin/python3\n"  # noqa: S108


def test_make_install_is_run_twice_and_undone(root: CleanRoot) -> None:
    """Law: the second time changes nothing, what people wrote stays until `make purge`, and then nothing is left."""
    before = root.files()
    install = ("env", "WHEELS=/given/wheels", "/given/checkout/deploy/install.sh")
    root.run(*install)
    assert root.run("fairlead", "version").stdout == f"fairlead {VERSION}\n"
    assert root.run("stat", "-c", "%a %U %G", "/etc/fairlead/fairlead.toml").stdout == "640 root fairlead\n"
    _is_sound(root, "/usr/local/lib/systemd/system")
    _answers(root, "/usr/local/bin/fairlead")

    first = root.files()
    root.run("sh", "-c", "echo '# mine' >> /etc/fairlead/fairlead.toml")
    root.run(*install)
    assert root.files() == first
    assert "# mine" in root.run("cat", "/etc/fairlead/fairlead.toml").stdout

    root.run("/given/checkout/deploy/uninstall.sh")
    left = root.files() - before
    assert {"/etc/fairlead/fairlead.toml", "/var/lib/fairlead/history.sqlite"} <= left
    assert not any(name.startswith(("/opt/fairlead", "/usr/local/bin/", "/usr/local/share/doc/")) for name in left)
    root.run("/given/checkout/deploy/uninstall.sh", "purge")
    folders = {name for name in root.files() - before if not name.startswith(_LEFT_BY_OTHERS)}
    assert [name for name in folders if "fairlead" in name] == []


def test_lintian_has_nothing_to_say_that_is_not_answered(given: Path) -> None:
    """Law: debian/fairlead.lintian-overrides has the reason for every tag that it silences, and silences all."""
    lintian = shutil.which("lintian")
    if lintian is None:
        pytest.skip("no lintian is installed")
    words = [lintian, "--allow-root", "--fail-on", "error,warning", str(given / "fairlead.deb")]
    done = subprocess.run(words, check=False, capture_output=True, text=True)  # noqa: S603
    assert (done.returncode, done.stdout) == (0, "")

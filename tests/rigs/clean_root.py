"""A Debian with nothing but its base in it, to install things into: made once, kept beside other caches, never changed.

Whatever is done to it lies over it in memory, in a mount and network namespace of its own, and is gone with that.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

__all__ = ["CleanRoot", "Unavailable", "clean_root", "kept_root", "release"]

_PACKAGES: Final = "python3,python3-venv,systemd,systemd-sysv,dbus"
_ENVIRONMENT: Final = (
    "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG=C.UTF-8",
    "HOME=/",
    "DEBIAN_FRONTEND=noninteractive",
)
_LAY_OVER: Final = """
set -e
mount -t tmpfs none "$2"
mkdir "$2/upper" "$2/work" "$2/tree"
mount -t overlay none -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/tree"
mount -t proc none "$2/tree/proc"
mount -t tmpfs none "$2/tree/run"
mount -t tmpfs none "$2/tree/tmp"
mkdir "$2/tree/given"
mount --bind "$3" "$2/tree/given"
ip link set lo up
echo ready
exec cat
"""


class Unavailable(Exception):
    """No clean root can be had here; the text says what it takes."""


class CleanRoot:
    """One root, fresh."""

    def __init__(self, pid: int, folder: Path) -> None:
        """Enter the namespaces of the process `pid`, in which the root is at `folder`."""
        self._enter = ["nsenter", f"--target={pid}", "--mount", "--net", "chroot", str(folder)]

    def command(self, *words: str) -> list[str]:
        """Return the words that run a command in it, with a plain environment."""
        return [*self._enter, "/usr/bin/env", "-i", *_ENVIRONMENT, *words]

    def run(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in it, and return what it said."""
        done = subprocess.run(self.command(*words), check=False, capture_output=True, text=True)  # noqa: S603
        assert not check or done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def files(self) -> set[str]:
        """Return everything that is in it, but for what belongs to a package manager, or to nobody."""
        but = ["(", "-path", "/var/lib/dpkg", "-o", "-path", "/given", ")", "-prune"]
        found = self.run("find", "/", "-xdev", *but, "-o", "-print")
        return set(found.stdout.splitlines())


@contextlib.contextmanager
def clean_root(folder: Path, given: Path) -> Iterator[CleanRoot]:
    """Give a fresh root that works in `folder` and shows `given` at /given. Raises Unavailable."""
    lower = kept_root()
    folder.mkdir()
    words = ["unshare", "--mount", "--net", "--propagation", "private", "sh", "-c", _LAY_OVER, "sh"]
    process = subprocess.Popen(  # noqa: S603
        [*words, str(lower), str(folder), str(given)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        if process.stdout.readline() != b"ready\n":
            raise Unavailable(f"a clean root cannot be mounted: {process.communicate()[1].decode().strip()}")
        yield CleanRoot(process.pid, folder / "tree")
    finally:
        process.communicate()


def release() -> str:
    """Return the name of this machine's Debian, such as `bookworm`. Raises Unavailable where it is another system."""
    described = platform.freedesktop_os_release()
    if described.get("ID") != "debian":
        raise Unavailable(f"a clean root is Debian's, and this is {described.get('PRETTY_NAME')}")
    return described["VERSION_CODENAME"]


def kept_root() -> Path:
    """Return the root that is kept; the first time it is made, from where this machine gets its packages.

    Raises Unavailable.
    """
    if os.geteuid() != 0:
        raise Unavailable("a clean root takes root")
    home = Path(os.environ.get("XDG_CACHE_HOME", "") or Path.home() / ".cache")
    kept = home / "fairlead" / f"{release()}-{platform.machine()}"
    if kept.exists():
        return kept
    if shutil.which("debootstrap") is None:
        raise Unavailable("a clean root takes debootstrap (apt install debootstrap)")
    made = kept.with_name(f"{kept.name}.{os.getpid()}")
    made.mkdir(parents=True)
    words = ["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", release(), str(made), _mirror()]
    done = subprocess.run(words, check=False, capture_output=True, text=True)  # noqa: S603
    if done.returncode:
        shutil.rmtree(made)
        raise Unavailable(f"debootstrap made no clean root: {done.stdout.strip().splitlines()[-1:]}")
    made.chmod(0o755)
    try:
        made.rename(kept)
    except OSError:  # another run was quicker
        shutil.rmtree(made)
    return kept


def _mirror() -> str:
    """Return where this machine gets the packages of its release."""
    words = ["apt-get", "indextargets", "--format", "$(CODENAME) $(SITE)"]
    known = subprocess.run(words, check=False, capture_output=True, text=True).stdout  # noqa: S603
    sites = [line.partition(" ")[2] for line in known.splitlines() if line.startswith(f"{release()} ")]
    if not sites:
        raise Unavailable("a clean root takes an apt that knows where packages are (apt-get update)")
    return sites[0]

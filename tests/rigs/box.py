"""A box: the real systemd, booted as the first process of namespaces of its own, over a root that it cannot change.

It takes root, a cgroup2 mount, the packages systemd and util-linux, a quarter of a second, and leaves nothing behind.
`why_not` says what is missing. `FAIRLEAD_BOX_ROOT` names another root than this machine's, such as one of debootstrap.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

__all__ = ["Box", "why_not"]

_BOOT_S: Final = 30.0
_TOOLS: Final = ("unshare", "nsenter", "setpriv", "systemctl", "sqlite3", "curl")
_ROOT: Final = Path(__file__).with_name("box_root.py")
_NAMESPACES: Final = ("--mount", "--uts", "--ipc", "--net", "--cgroup", "--pid")


def why_not() -> str:
    """Return why no box can be booted here; empty where one can."""
    if os.geteuid() != 0:
        return "booting a systemd takes root"
    if _cgroup2() is None:
        return "booting a systemd takes cgroup v2, and none is mounted"
    if missing := [tool for tool in _TOOLS if shutil.which(tool) is None]:
        return f"booting a systemd takes systemd, util-linux, sqlite3 and curl: {', '.join(missing)} not found"
    trial = ["unshare", *_NAMESPACES, "--fork", "true"]
    tried = subprocess.run(trial, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
    return tried.stderr and f"namespaces cannot be made here: {tried.stderr.strip()}"


def lower_root() -> str:
    """Return the root that boxes lie over."""
    return os.environ.get("FAIRLEAD_BOX_ROOT", "/")


def _cgroup2() -> Path | None:
    mounts = (line.split() for line in Path("/proc/self/mounts").read_text().splitlines())
    return next((Path(place) for _, place, kind, *_ in mounts if kind == "cgroup2"), None)


class Box:
    """One booted system."""

    def __init__(self, folder: Path, *binds: str) -> None:
        """Prepare a box that works in `folder` and shows each `SOURCE:PLACE` of `binds`."""
        self._folder = folder
        self._binds = binds
        self._console = folder / "console.log"
        self._cgroup = (_cgroup2() or Path("/")) / f"fairlead-box-{os.getpid()}-{folder.name}"
        self._unshare: subprocess.Popen[bytes] | None = None
        self._init = 0

    def boot(self) -> None:
        """Boot, and return when the system is up."""
        self._cgroup.mkdir()
        # Enter the cgroup first: it becomes the root of the cgroup namespace.
        enter = f'echo $$ > "{self._cgroup}/cgroup.procs" && exec "$@"'
        inner = [sys.executable, "-I", "-S", str(_ROOT), str(self._folder), lower_root(), *self._binds]
        alone = ["unshare", *_NAMESPACES, "--fork", "--propagation", "private", "--kill-child=SIGKILL"]
        with self._console.open("wb") as console:
            words = ["/bin/sh", "-c", enter, "sh", *alone, *inner]
            self._unshare = subprocess.Popen(  # noqa: S603 - our own words
                words, stdin=subprocess.DEVNULL, stdout=console, stderr=console
            )
        self.until(self._up, "the box to boot", _BOOT_S)
        self.run("systemctl", "is-system-running", "--wait", check=False)

    def _up(self) -> bool:
        assert self._unshare is not None
        assert self._unshare.poll() is None, self._console.read_text(errors="replace")
        pid = self._unshare.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        self._init = int(children[0]) if children else 0
        return bool(self._init) and self.path("/run/systemd/private").exists() and self._is_systemd()

    def _is_systemd(self) -> bool:
        return Path(f"/proc/{self._init}/comm").read_text().strip() == "systemd"

    def path(self, inside: str) -> Path:
        """Return how a path of the box is reached from outside; sockets can be connected to by it, as root."""
        return Path(f"/proc/{self._init}/root{inside}")

    def run(
        self, *command: str, user: str = "root", check: bool = True, text: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the box, as `user` with the groups it has, and return what it said."""
        enter = ["nsenter", f"--target={self._init}", "-m", "-u", "-i", "-n", "-p", "-C", "--"]
        become = [] if user == "root" else ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--"]
        clean = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", f"HOME=/home/{user}"]
        done = subprocess.run(  # noqa: S603 - what a test runs is the test's
            [*enter, *become, *clean, *command], capture_output=True, text=True, check=False, input=text, timeout=60
        )
        assert not check or done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def write(self, inside: str, text: str, mode: int = 0o644) -> None:
        """Write a file of root's in the box."""
        file = self.path(inside)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def until(self, holds: object, what: str, within_s: float = 15.0) -> None:
        """Return once `holds` is true; fail, naming `what` was waited for, after `within_s` seconds."""
        deadline = time.monotonic() + within_s
        while not holds():
            assert time.monotonic() < deadline, f"waited {within_s:g}s for {what}"
            time.sleep(0.02)

    def stop(self) -> None:
        """End everything in it, at once."""
        if self._unshare is not None:
            self._unshare.kill()  # and with it, by --kill-child, the box's first process
            self._unshare.wait()
        with contextlib.suppress(FileNotFoundError):
            self.until(self._removed, "the box's control group to be empty")

    def _removed(self) -> bool:
        folders = [folder for folder, _, _ in os.walk(self._cgroup, topdown=False)]
        with contextlib.suppress(OSError):
            for folder in folders:
                Path(folder).rmdir()
        return not self._cgroup.exists()

"""The first process of a box: puts a root together in namespaces of its own, and becomes the systemd in it.

Started by tests.rigs.box as a script, as root, after unshare(1); what it mounts dies with it. Words: the folder to work
in, the root to lie over, and SOURCE:PLACE for each folder to bind. It needs nothing but the standard library.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import pathlib
import shutil
import socket
import struct
import sys
import uuid
from pathlib import Path

_C = ctypes.CDLL(None, use_errno=True)
_READ_ONLY, _NO_SUID, _NO_DEVICES, _NO_EXECUTION, _REMOUNT, _BIND, _RECURSIVE = 1, 2, 4, 8, 32, 4096, 16384
_PRIVATE, _SHARED = 1 << 18, 1 << 20
_DETACH = 2
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "riscv64": 41}
_SET_FLAGS, _UP = 0x8914, 1
_SAFE = _NO_SUID | _NO_DEVICES
_NOT_WANTED = ("sysinit", "local-fs", "sockets", "timers", "multi-user", "graphical")
"""Targets whose usual companions (udev, consoles, clocks, what the host has installed) a box has no use for."""
_TARGET = """
[Unit]
Description=All that a box needs
Requires=basic.target
Wants=systemd-journald.service dbus.socket
After=basic.target systemd-journald.service dbus.socket
AllowIsolate=yes
"""
_JOURNAL = """
[Journal]
Storage=volatile
RateLimitBurst=0
"""


def _mount(source: str, place: Path, kind: str, flags: int = 0, options: str = "") -> None:
    words = [word.encode() for word in (source, str(place), kind)]
    if _C.mount(*words, ctypes.c_ulong(flags), options.encode()):
        raise OSError(ctypes.get_errno(), f"mounting {kind or source} at {place}: {os.strerror(ctypes.get_errno())}")


def _empty(place: Path, options: str = "mode=0755", flags: int = _SAFE) -> Path:
    """Cover `place` with an empty file system in memory."""
    place.mkdir(parents=True, exist_ok=True)
    _mount("tmpfs", place, "tmpfs", flags, options)
    return place


def _over(lower: str, folder: Path) -> Path:
    """Return a root in which everything can be changed and nothing of `lower` is."""
    layers = _empty(folder / "layers", "mode=0755,size=1g", 0)
    root = folder / "root"
    for each in (root, layers / "upper", layers / "work"):
        each.mkdir(exist_ok=True)
    _mount("box", root, "overlay", 0, f"lowerdir={lower},upperdir={layers}/upper,workdir={layers}/work")
    return root


def _kernel_file_systems(root: Path) -> None:
    _mount("proc", root / "proc", "proc", _SAFE | _NO_EXECUTION)
    _mount(str(root / "proc/sys"), root / "proc/sys", "", _BIND)
    _mount("", root / "proc/sys", "", _REMOUNT | _BIND | _READ_ONLY)
    _mount("sysfs", root / "sys", "sysfs", _SAFE | _NO_EXECUTION | _READ_ONLY)
    _mount("cgroup2", root / "sys/fs/cgroup", "cgroup2", _SAFE | _NO_EXECUTION)


def _devices(root: Path) -> None:
    dev = _empty(root / "dev", "mode=0755,size=4m", _NO_SUID)
    for name in ("null", "zero", "full", "random", "urandom", "tty"):
        (dev / name).touch()
        _mount(f"/dev/{name}", dev / name, "", _BIND)
    (dev / "pts").mkdir()
    _mount("devpts", dev / "pts", "devpts", 0, "newinstance,ptmxmode=0666,mode=0620")
    _empty(dev / "shm", "mode=1777")
    for name, leads_to in {"ptmx": "pts/ptmx", "fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1"}.items():
        (dev / name).symlink_to(leads_to)


def _system(root: Path) -> None:
    """Leave of what is installed what a small system needs."""
    _empty(root / "run")
    _empty(root / "tmp", "mode=1777")
    units = _empty(root / "etc/systemd/system")
    (units / "box.target").write_text(_TARGET)
    (units / "systemd-logind.service").symlink_to("/dev/null")
    for name in _NOT_WANTED:
        wanted = root / f"usr/lib/systemd/system/{name}.target.wants"
        if wanted.is_dir():
            _empty(wanted)
    for kept in (root / "var/lib/systemd", root / "var/log/journal"):
        shutil.rmtree(kept, ignore_errors=True)
    for name, text in {"fstab": "", "machine-id": f"{uuid.uuid4().hex}\n", "hostname": "box\n"}.items():
        (root / "etc" / name).unlink(missing_ok=True)
        (root / "etc" / name).write_text(text)
    (_empty(root / "etc/systemd/journald.conf.d") / "box.conf").write_text(_JOURNAL)


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sh14x", b"lo", _UP))


def _enter(root: Path) -> None:
    os.chdir(root)
    (root / ".old").mkdir(exist_ok=True)
    if _C.syscall(_PIVOT_ROOT[os.uname().machine], b".", b".old"):
        raise OSError(ctypes.get_errno(), f"entering {root}")
    _C.umount2(b"/.old", _DETACH)
    pathlib.Path("/.old").rmdir()
    os.chdir("/")
    _mount("", Path("/"), "", _RECURSIVE | _SHARED)


def _main(folder: str, lower: str, *binds: str) -> None:
    root = _over(lower, Path(folder))
    _kernel_file_systems(root)
    _devices(root)
    _system(root)
    for bind in binds:
        source, _, place = bind.partition(":")
        (root / place.lstrip("/")).mkdir(parents=True, exist_ok=True)
        _mount(source, root / place.lstrip("/"), "", _BIND)
    socket.sethostname("box")
    _loopback_up()
    _enter(root)
    environ = {"container": "fairlead-box", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "TERM": "dumb"}
    words = ["systemd", "--system", "--unit=box.target", "--show-status=no", "--log-target=journal"]
    os.execve("/usr/lib/systemd/systemd", words, environ)  # noqa: S606 - this is what it is for


if __name__ == "__main__":
    _main(*sys.argv[1:])

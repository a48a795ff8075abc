"""A daemon that first tries, in the very process that will serve, whatever an intruder in it would; then it serves.

Run in the place of `fairlead serve`. What became of each attempt is in $STATE_DIRECTORY/attempts.json: the name of the
error that it met, or `done`. It stands alone and needs nothing but the standard library.
"""

from __future__ import annotations

import ctypes
import errno
import json
import mmap
import os
import platform
import runpy
import socket
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

_C = ctypes.CDLL(None, use_errno=True)
_PTRACE_TRACEME, _PTRACE_ATTACH = 0, 16
_NEW_USER = 0x10000000
_CALLS = {"x86_64": {"bpf": 321, "add_key": 248}, "aarch64": {"bpf": 280, "add_key": 217}}
_IO_URING_SETUP = 425
_WRITABLE = ("/var/lib/fairlead", "/run/fairlead-daemon", "/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 - they are tried
"""What is meant to be writable."""
_PRESSURE = "/fairlead.service/memory.pressure"
"""What systemd 254 and later hand to a service for it to say when it wants to hear that memory is short."""


def _call(returned: int) -> None:
    if returned < 0:
        raise OSError(ctypes.get_errno(), "refused")


def _number(name: str) -> int:
    return _CALLS[platform.machine()][name]


def _writable_and_executable() -> None:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


def _made_executable_later() -> None:
    _C.mmap.restype = ctypes.c_void_p
    page = _C.mmap(None, 4096, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
    _call(_C.mprotect(ctypes.c_void_p(page), 4096, mmap.PROT_READ | mmap.PROT_EXEC))


def _run_from(folder: str) -> None:
    program = Path(folder) / "program"
    program.write_text("#!/opt/fairlead/bin/python3\n")
    program.chmod(0o755)
    subprocess.run([program], check=True)  # noqa: S603 - it is not to


def _run_from_its_own_folders() -> None:
    if not any(attempt(partial(_run_from, folder)) == "done" for folder in _WRITABLE):
        raise PermissionError(errno.EACCES, "from none")


def _find_a_writable_mount() -> None:
    """Look where a mistake in permissions would be all that an intruder needs."""
    mounts = {line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()}
    meant = {place for place in mounts if place.startswith((*_WRITABLE, "/dev", "/proc")) or place.endswith(_PRESSURE)}
    found = [place for place in mounts - meant if not _read_only(place)]
    if not found:
        raise PermissionError(errno.EROFS, "there is none")
    sys.stderr.write(f"writable mounts: {found}\n")


def _read_only(place: str) -> int:
    return os.statvfs(place).f_flag & os.ST_RDONLY


def _processes_of_others() -> None:
    seen = {entry.name for entry in Path("/proc").iterdir() if entry.name.isdigit()}
    if seen == {str(os.getpid())}:
        raise PermissionError(errno.EPERM, "none is seen")


def _setuid_file() -> None:
    Path(os.environ["STATE_DIRECTORY"], "program").chmod(0o4755)


ATTEMPTS: dict[str, Callable[[], object]] = {
    "write to /etc": lambda: Path("/etc/burgled").write_text("x"),
    "write to /usr": lambda: Path("/usr/burgled").write_text("x"),
    "write to /opt/fairlead": lambda: Path("/opt/fairlead/burgled").write_text("x"),
    "write to its configuration": lambda: Path("/etc/fairlead/conf.d/burgled.toml").write_text("x"),
    "write among the clients' sockets": lambda: Path("/run/fairlead/burgled").write_text("x"),
    "remove the clients' socket": lambda: Path("/run/fairlead/fairlead.sock").unlink(),
    "read /home": lambda: Path("/home/alice/diary").read_text(),
    "read /root": lambda: list(Path("/root").iterdir()),
    "read the folder of keys": lambda: list(Path("/etc/fairlead/keys").iterdir()),
    "map what is writable and executable": _writable_and_executable,
    "make a page executable": _made_executable_later,
    "open a raw packet socket": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
    "open a raw IP socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
    "open a netlink socket": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
    "trace a process": lambda: _call(_C.ptrace(_PTRACE_ATTACH, 1, None, None)),
    "let itself be traced": lambda: _call(_C.ptrace(_PTRACE_TRACEME, 0, None, None)),
    "make a user namespace": lambda: _call(_C.unshare(_NEW_USER)),
    "mount": lambda: _call(_C.mount(b"none", b"/tmp", b"tmpfs", ctypes.c_ulong(0), None)),
    "run a shell": lambda: subprocess.run(["/bin/sh", "-c", "true"], check=True),
    "run a program of its own": _run_from_its_own_folders,
    "find another writable mount": _find_a_writable_mount,
    "make a file that runs as its owner": _setuid_file,
    "set up io_uring": lambda: _call(_C.syscall(_IO_URING_SETUP, 8, ctypes.create_string_buffer(120))),
    "load a program into the kernel": lambda: _call(_C.syscall(_number("bpf"), 0, None, 0)),
    "become root": lambda: os.setuid(0),
    "become another user": lambda: os.setuid(1),
    "run in real time": lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)),
    "rename the machine": lambda: socket.sethostname("burgled"),
    "set the clock": lambda: _call(_C.settimeofday(ctypes.create_string_buffer(16), None)),
    "read the kernel's log": lambda: Path("/dev/kmsg").read_bytes(),
    "see processes of others": _processes_of_others,
    "read a disk": lambda: Path("/dev/vda").read_bytes(),
}


def attempt(one: Callable[[], object]) -> str:
    """Return the name of the error that an attempt met, or `done`."""
    try:
        one()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, "?")
    return "done"


if __name__ == "__main__":
    outcomes = {name: attempt(one) for name, one in ATTEMPTS.items()}
    Path(os.environ["STATE_DIRECTORY"], "attempts.json").write_text(json.dumps(outcomes))
    sys.argv = ["fairlead", "serve"]
    runpy.run_module("daemon.cli.main", run_name="__main__")

"""fairlead as `make install` would leave it on a machine: its own environment under /opt, its units, its users."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.rigs.box import Box, lower_root
from tests.rigs.product import PACKAGES, ROOT

__all__ = ["environment", "installed"]

_PYTHON: Final = f"python{sys.version_info.major}.{sys.version_info.minor}"
_SYSTEM_PYTHON: Final = Path("/usr/bin") / _PYTHON
_HOMES: Final = (Path("/home"), Path("/root"))
_OTHER_PYTHON: Final = "/opt/python"
_USERS: Final = """
u alice - "member of the group" /home/alice /bin/sh
m alice fairlead
u mallory - "no member" /home/mallory /bin/sh
u deploy - "member and operator" /home/deploy /bin/sh
m deploy fairlead
g ops -
u oscar - "operator by a group" /home/oscar /bin/sh
m oscar fairlead
m oscar ops
"""


def environment(folder: Path) -> tuple[str, ...]:
    """Make the environment in `folder`, and return what a box has to bind for it.

    It is of the system's own interpreter, as in an installation, where that has the version that this environment has;
    else of the one that runs the tests, shown to the box outside of everybody's home.
    """
    here = Path(f"{lower_root()}/{_SYSTEM_PYTHON}").exists()
    home = "/usr/bin" if here else f"{_OTHER_PYTHON}/bin"
    packages = folder / "lib" / _PYTHON / "site-packages"
    _copy_packages(packages)
    folder.chmod(0o755)
    (folder / "bin").mkdir()
    (folder / "bin/python3").symlink_to(f"{home}/{_PYTHON}")
    (folder / "pyvenv.cfg").write_text(f"home = {home}\ninclude-system-site-packages = false\n")
    command = "from daemon.cli.main import main\nimport sys\nsys.exit(main())\n"
    (folder / "bin/fairlead").write_text(f"#!/opt/fairlead/bin/python3\n{command}")
    (folder / "bin/fairlead").chmod(0o755)
    own = () if here else (f"{sys.base_prefix}:{_OTHER_PYTHON}",)
    return (f"{folder}:/opt/fairlead", *own)


def _copy_packages(packages: Path) -> None:
    packages.mkdir(parents=True)
    for name in _runtime():
        for file in importlib.metadata.files(name) or ():
            if ".." not in file.parts and (source := Path(str(file.locate()))).is_file():
                (packages / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, packages / file)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, packages / package)
    compiling = [sys.executable, "-m", "compileall", "-q", *(str(packages / package) for package in PACKAGES)]
    subprocess.run(compiling, check=True)  # noqa: S603 - our own words
    for place, _, files in os.walk(packages):  # as install(1) leaves files, whatever the umask of the checkout was
        Path(place).chmod(0o755)
        for file in files:
            (Path(place) / file).chmod(0o644)


def _runtime() -> list[str]:
    lines = (ROOT / "requirements/runtime.txt").read_text(encoding="utf-8").splitlines()
    return [line.partition("==")[0] for line in lines if "==" in line and not line.startswith("#")]


def installed(box: Box) -> None:
    """Put the units and their fragments into a booted box, with users to play with, and a home to be kept out of."""
    etc = box.path("/etc")
    for unit in (ROOT / "systemd").glob("fairlead*.s*"):
        place = "sysusers.d/fairlead.conf" if unit.suffix == ".sysusers" else f"systemd/system/{unit.name}"
        _put(unit, etc / place)
    for unit in (ROOT / "systemd/user").iterdir():
        _put(unit, etc / "systemd/user" / unit.name)
    _put(ROOT / "systemd/fairlead.tmpfiles", etc / "tmpfiles.d/fairlead.conf")
    if box.path(f"{_OTHER_PYTHON}/bin").exists():
        allow = f"[Service]\nExecPaths={_OTHER_PYTHON}\nBindReadOnlyPaths={_OTHER_PYTHON}\n"
        for unit in ("fairlead.service", "fairlead@.service"):
            box.write(f"/etc/systemd/system/{unit}.d/python.conf", allow)
        box.write("/etc/ld.so.conf.d/python.conf", f"{_OTHER_PYTHON}/lib\n")
        box.run("ldconfig")
    box.write("/etc/sysusers.d/people.conf", _USERS)
    box.run("systemd-sysusers")
    box.run("systemd-tmpfiles", "--create", "/etc/tmpfiles.d/fairlead.conf")
    for user in ("alice", "mallory", "deploy", "oscar"):
        box.run("install", "-d", "-o", user, "-m", "0755", f"/home/{user}")
    box.write("/home/alice/diary", "dear diary\n")
    box.run("systemctl", "daemon-reload")


def _put(source: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, place)

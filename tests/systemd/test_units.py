"""The unit files, without a system to run them: they are understood, tight, and as our documents say."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.rigs.product import ROOT

UNITS = ROOT / "systemd"
needs_analyze = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None and "FAIRLEAD_REQUIRE_SYSTEMD" not in os.environ,
    reason="systemd-analyze is not installed",
)
_SINCE = re.compile(r"For systemd (\d+) and later")
_LEFT_OPEN = {
    "PrivateNetwork=": "PrivateNetwork=",
    "RestrictAddressFamilies=~AF_(INET|INET6)": "AF_INET, AF_INET6",
    "RestrictAddressFamilies=~AF_UNIX": "AF_UNIX",
    "IPAddressDeny=": "IPAddressDeny=",
    "PrivateUsers=": "PrivateUsers=",
    "UMask=": "UMask=",
    "RootDirectory=/RootImage=": "RootDirectory=",
    "DeviceAllow=": "DeviceAllow=",
}
"""What the judge of exposure calls a point, and what the unit's list of reasons calls it."""


def _settings(unit: Path) -> list[tuple[str, str]]:
    lines = unit.read_text(encoding="utf-8").splitlines()
    return [(name, value) for name, _, value in (line.partition("=") for line in lines if line and line[0] != "#")]


def _analyze(*words: str) -> str:
    command = ["systemd-analyze", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
    return done.stdout + done.stderr + ("" if done.returncode == 0 else f"\nended with {done.returncode}")


def _version() -> int:
    return int(_analyze("--version").split()[1])


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """Give the units with a program that is there on every machine, so that nothing but the units is judged."""
    copy = tmp_path / "units"
    shutil.copytree(UNITS, copy)
    for unit in copy.rglob("*.service"):
        unit.write_text(unit.read_text(encoding="utf-8").replace("/opt/fairlead/bin/fairlead", "/usr/bin/true"))
    return copy


@needs_analyze
@pytest.mark.parametrize("name", sorted(unit.name for unit in UNITS.glob("*.s[eo]*[et]")))
def test_systemd_understands_every_line(units: Path, name: str) -> None:
    """Law: `systemd-analyze verify` has nothing to say, not even on stderr."""
    assert _analyze("verify", "--man=no", str(units / name.replace("@", "@staging"))) == ""


@needs_analyze
@pytest.mark.parametrize("name", ["fairlead.service", "fairlead.socket"])
def test_a_users_systemd_understands_every_line(units: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Law: the same for the user's units."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(units))
    monkeypatch.setenv("HOME", str(units))
    assert _analyze("--user", "verify", "--man=no", str(units / "user" / name)) == ""


@needs_analyze
@pytest.mark.parametrize("drop_in", sorted(UNITS.glob("drop-ins/*.conf")), ids=lambda file: file.stem)
def test_systemd_understands_every_example(units: Path, drop_in: Path) -> None:
    """Law: each drop-in says where it goes, and does there what it says."""
    text = drop_in.read_text(encoding="utf-8")
    if (since := _SINCE.search(text)) and _version() < int(since[1]):
        pytest.skip(f"this is systemd {_version()}, the drop-in is for {since[1]} and later")
    unit = re.search(r"/etc/systemd/system/(fairlead[a-z-]*\.\w+)\.d/([a-z0-9-]+\.conf)", text)
    assert unit is not None
    assert unit[2] == drop_in.name
    place = units / f"{unit[1]}.d"
    place.mkdir()
    shutil.copy(drop_in, place)
    assert _analyze("verify", "--man=no", str(units / unit[1])) == ""


@needs_analyze
@pytest.mark.parametrize("name", ["fairlead.service", "fairlead@.service"])
def test_exposure_is_at_most_one_and_a_half(name: str) -> None:
    """Law: what `systemd-analyze security` counts, and each point of it has its reason in the unit."""
    judged = _analyze("security", "--offline=yes", "--threshold=15", "--no-pager", str(UNITS / name))
    assert "ended with" not in judged
    assert {line.split()[1] for line in judged.splitlines() if line.startswith("✗")} <= set(_LEFT_OPEN)


def test_every_directive_that_is_left_open_has_its_reason() -> None:
    """Law: the list at the unit's end names each."""
    text = (UNITS / "fairlead.service").read_text(encoding="utf-8")
    reasons = text.partition("# What is left open, and why:")[2]
    assert [name for name in _LEFT_OPEN.values() if name not in reasons] == []


def test_an_instance_is_the_service_but_for_what_makes_it_one() -> None:
    """Law: nobody hardens the one and forgets the other."""
    instance = [one for one in _settings(UNITS / "fairlead@.service") if one[0] != "Environment"]
    assert [*map(_general, instance)] == [*map(_general, _settings(UNITS / "fairlead.service"))]


def _general(setting: tuple[str, str]) -> tuple[str, str]:
    name, value = setting
    return name, re.sub(r" \(%i\)|-instances/%i|-%i|@%i|-daemon", "", value)


def test_no_unit_keeps_a_secret_in_its_environment() -> None:
    """Law: everybody can read Environment= with `systemctl show`."""
    named = [value for unit in UNITS.rglob("*.service") for name, value in _settings(unit) if name == "Environment"]
    assert [value for value in named if re.search("KEY|TOKEN|SECRET|PASSWORD", value)] == []


def test_the_services_folder_is_not_the_sockets() -> None:
    """Law: with the same name a stop of the service would remove the clients' socket."""
    service, socket = dict(_settings(UNITS / "fairlead.service")), dict(_settings(UNITS / "fairlead.socket"))
    assert Path(socket["ListenStream"]).parent != Path("/run") / service["RuntimeDirectory"]


def test_the_watchdog_has_ten_seconds_and_leaves_a_stack() -> None:
    """Law: what the documents promise."""
    service = dict(_settings(UNITS / "fairlead.service"))
    assert (service["WatchdogSec"], service["WatchdogSignal"]) == ("10s", "SIGABRT")


def test_every_unit_has_its_sections_and_no_setting_twice_by_accident() -> None:
    """Law: a line that another one overrides in silence is a mistake; lists say so by their name."""
    lists = {"ListenStream", "SystemCallFilter", "NoExecPaths", "Environment"}
    for unit in [*UNITS.glob("*.so*"), *UNITS.glob("*.service"), *UNITS.glob("user/*")]:
        names = [name for name, value in _settings(unit) if value and name not in lists]
        assert len(names) == len(set(names)), unit
        parser = configparser.RawConfigParser(strict=False)
        parser.read(unit)
        assert {"Unit", "Install"} < set(parser.sections())

"""What is secret stays so: keys, prompts and answers are planted, and then looked for everywhere.

The canaries' provider answers from outside of the box, and its errors repeat what it was sent.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from tests.rigs.box import Box
from tests.rigs.service import Service
from tests.rigs.unix_provider import UnixProvider, unix_provider

_PROVIDER = "/run/provider.sock"
_KEY, _PROMPT, _ANSWER, _CONTROL = (
    f"canary-{name}-{secrets.token_hex(8)}" for name in ("key", "ask", "say", "control")
)
_CONFIG = f"""
version = 1

[providers.canary]
dialect = "openai"
base_url = "unix://{_PROVIDER}"
api_key = "${{cred:keys_canary}}"
models = ["bad", "good"]
probe = {{ kind = "none" }}

[workloads.chat]
targets = ["canary/bad", "canary/good"]
strategy = "priority"
default = true
"""
_CHANGED_SINCE_BOOT = (
    "find /etc /opt/fairlead /run /tmp /var /dev/shm -path /run/credentials -prune -o "
    "-path /etc/fairlead/keys -prune -o -type f -newer /etc/machine-id -print0"
)


class Planted:
    """The service, through which all canaries went, and its provider."""

    def __init__(self, service: Service, provider: UnixProvider) -> None:
        """Keep both."""
        self.service = service
        self.provider = provider

    def ask(self) -> str:
        """Have one request fail over, and return the answer."""
        body = {"model": "chat", "messages": [{"role": "user", "content": _PROMPT}]}
        return self.service.ask("POST", "/v1/chat/completions", body).body.decode()


@pytest.fixture(scope="module")
def planted(box: Box) -> Iterator[Planted]:
    """Give a service that has been asked, refused, reloaded, broken and restarted, with canaries in it all."""
    service = Service(box)
    box.write("/etc/fairlead/keys/canary", _KEY, 0o600)
    box.write("/var/lib/fairlead-control", _CONTROL)
    service.configure(_CONFIG)
    with unix_provider(box.path(_PROVIDER), _ANSWER) as provider:
        service.start()
        planted = Planted(service, provider)
        assert _ANSWER in planted.ask()
        service.command("route", _PROMPT)
        service.systemctl("reload", "fairlead.service")
        service.systemctl("kill", "--signal=ABRT", "fairlead.service")
        service.box.until(lambda: service.show("NRestarts") == "1", "the restart after a crash")
        assert _ANSWER in planted.ask()
        service.command("status")
        yield planted


def _found(box: Box, command: str) -> dict[str, int]:
    """Return how often each canary is in what a command of the box puts out."""
    text = box.run("sh", "-c", command).stdout
    return {name: text.count(name) for name in (_KEY, _PROMPT, _ANSWER) if name in text}


def test_the_provider_was_shown_the_key_of_the_credential(planted: Planted) -> None:
    """Law: a file in the folder of keys is `${cred:keys_NAME}`."""
    assert planted.provider.keys == {_KEY}


def test_no_file_of_the_machine_holds_one(planted: Planted) -> None:
    """Law: none that changed since the boot: not the history, the journal's, a core, or a file in memory."""
    box = planted.service.box
    words = " ".join(f"-e {name}" for name in (_KEY, _PROMPT, _ANSWER, _CONTROL))
    found = box.run("sh", "-c", f"{_CHANGED_SINCE_BOOT} | xargs -0 grep -laF {words}", check=False).stdout.split()
    assert found == ["/var/lib/fairlead-control"]


def test_no_entry_of_the_journal_holds_one(planted: Planted) -> None:
    """Law: in no field, whoever wrote it; and the error that repeated them is there without them."""
    assert _found(planted.service.box, "journalctl --all --output=export") == {}


def test_no_process_shows_one(planted: Planted) -> None:
    """Law: neither environments nor command lines, which `ps` shows to everybody."""
    assert _found(planted.service.box, "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null; true") == {}
    assert _found(planted.service.box, "systemctl show fairlead.service; systemctl status fairlead.service") == {}


def test_nobody_else_reads_the_credential_or_the_memory(planted: Planted) -> None:
    """Law: not even a member of the group."""
    box, pid = planted.service.box, planted.service.show("MainPID")
    for file in ("/run/credentials/fairlead.service/keys_canary", f"/proc/{pid}/environ", f"/proc/{pid}/mem"):
        assert box.run("head", "-c1", file, user="alice", check=False).returncode != 0


def test_a_key_is_read_anew_by_a_restart(planted: Planted) -> None:
    """Law: a changed file is in use after it, and a further file is a further credential."""
    planted.service.box.write("/etc/fairlead/keys/canary", _KEY[::-1], 0o600)
    planted.service.systemctl("restart", "fairlead.service")
    planted.provider.keys.clear()
    assert _ANSWER in planted.ask()
    assert planted.provider.keys == {_KEY[::-1]}


def test_the_journal_finds_a_fallback_by_its_target(planted: Planted) -> None:
    """Law: `journalctl FAIRLEAD_TARGET=...`, with a stable message id, a priority and nothing for a terminal."""
    entries = planted.service.journal("FAIRLEAD_TARGET=canary/bad")
    fallbacks = [entry for entry in entries if entry["FAIRLEAD_EVENT"] == "fallback"]
    assert fallbacks
    assert all(entry["MESSAGE_ID"] and entry["PRIORITY"] in "3456" for entry in fallbacks)
    assert all("\x1b" not in str(entry["MESSAGE"]) for entry in planted.service.journal())


def test_an_encrypted_credential_is_read(planted: Planted) -> None:
    """Law: LoadCredentialEncrypted, made by systemd-creds on this machine."""
    service, box = planted.service, planted.service.box
    encrypted = box.run("systemd-creds", "encrypt", "--with-key=host", "--name=sealed", "-", "-", text=_KEY).stdout
    box.write("/etc/fairlead/sealed.cred", encrypted)
    service.drop_in("LoadCredentialEncrypted=sealed:/etc/fairlead/sealed.cred")
    service.configure(_CONFIG.replace("keys_canary", "sealed"))
    service.systemctl("restart", "fairlead.service")
    planted.provider.keys.clear()
    assert _ANSWER in planted.ask()
    assert planted.provider.keys == {_KEY}

"""fairlead as a service in a box: what `systemctl`, the journal, clients and other users see of it."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path
from typing import Any, Final

from tests.rigs import process
from tests.rigs.box import Box
from tests.rigs.process import Answer, UnixConnection

__all__ = ["LAB", "Service"]

LAB: Final = process.LAB.replace("version = 1", 'version = 1\n\n[daemon]\noperators = ["deploy", "@ops"]')
"""Two simulated providers behind a workload that prefers the first, and who may operate."""
_DROP_INS: Final = "/run/systemd/system/fairlead.service.d"
_FAIRLEAD: Final = "/opt/fairlead/bin/fairlead"


class Service:
    """The unit fairlead.service of a box, with its socket."""

    def __init__(self, box: Box) -> None:
        """Find it as a former test left it, and put that away."""
        self.box = box
        self.systemctl("stop", "fairlead.socket", "fairlead-http.socket", "fairlead.service", check=False)
        box.run("sh", "-c", f"rm -rf {_DROP_INS} /var/lib/fairlead/* /etc/fairlead/keys/* /etc/fairlead/*.toml")
        self.systemctl("daemon-reload")
        self.systemctl("reset-failed")
        self.configure(LAB)
        self._since = time.time()

    def configure(self, text: str) -> None:
        """Write the configuration; the daemon does not hear of it."""
        self.box.write("/etc/fairlead/fairlead.toml", text)

    def drop_in(self, text: str) -> None:
        """Change the unit, as `systemctl edit` would."""
        self.box.write(f"{_DROP_INS}/test.conf", f"[Service]\n{text}\n")
        self.systemctl("daemon-reload")

    def systemctl(self, *words: str, check: bool = True) -> str:
        """Have systemd do something, and return what it says to it."""
        done = self.box.run("systemctl", "--no-pager", *words, check=check)
        return done.stdout + done.stderr

    def show(self, name: str) -> str:
        """Return a property of the unit."""
        return self.systemctl("show", f"--property={name}", "--value", "fairlead.service").strip()

    def start(self) -> Service:
        """Start the service, and with it its socket; it is ready when this returns."""
        self.systemctl("start", "fairlead.service")
        return self

    def command(self, *words: str, user: str = "root") -> Any:
        """Run the command line as `user`."""
        return self.box.run(_FAIRLEAD, *words, user=user, check=False)

    @property
    def socket(self) -> Path:
        """The clients' socket, as root reaches it from outside of the box."""
        return self.box.path("/run/fairlead/fairlead.sock")

    def ask(self, method: str, url: str, body: object = None) -> Answer:
        """Make one request over the clients' socket, as root."""
        return self._exchange(self.socket, method, url, body)

    def chat(self) -> Answer:
        """Ask for one chat completion."""
        body = {"model": "chat", "messages": [{"role": "user", "content": "hello"}]}
        return self.ask("POST", "/v1/chat/completions", body)

    def target(self, name: str) -> dict[str, Any]:
        """Return one target as `status` shows it."""
        return self.ask("GET", f"/fairlead/v1/targets/{name}").json()

    def simulate(self, provider: str, **behaviour: object) -> None:
        """Change how a simulated provider's model `m` behaves."""
        path = self.box.path(f"/run/fairlead-daemon/simulated-{provider}.sock")
        assert self._exchange(path, "PUT", "/simulated/models/m", behaviour).status == 200

    def _exchange(self, path: Path, method: str, url: str, body: object) -> Answer:
        with contextlib.closing(UnixConnection(path)) as connection:
            raw = None if body is None else json.dumps(body)
            connection.request(method, url, raw, {"content-type": "application/json"})
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read())

    def journal(self, *matches: str) -> list[dict[str, Any]]:
        """Return what the journal has of it since the test began, of the fields `NAME=value` where they are named."""
        words = ["journalctl", "--output=json", "--all", f"--since=@{self._since:.6f}", *matches]
        return [json.loads(line) for line in self.box.run(*words).stdout.splitlines() if line.startswith("{")]

    def said(self) -> str:
        """Return the messages of the unit since the test began."""
        return "\n".join(str(entry.get("MESSAGE")) for entry in self.journal("_SYSTEMD_UNIT=fairlead.service"))

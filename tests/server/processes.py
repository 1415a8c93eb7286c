"""The command `kalam serve` as a process of its own, and what it says."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import httpx

from tests.server.serving import PLAIN

DEADLINE_S = 60.0
PASSWORD = "correct horse battery"
ROOT_PASSWORD = "staple of all horses"


class Process:
    """`kalam serve` on a free port, from the moment in which it takes requests; killed at the end of the block."""

    def __init__(self, directory: Path, *arguments: str, environment: dict[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "kalamdb", "serve", str(directory), "--port", "0", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | (environment or {}),
        )
        self._errors: list[str] = []
        self._reading = threading.Thread(target=self._read_errors, daemon=True)
        self._reading.start()
        self.said = ""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.said += line
            if found := re.search(r"serves at (\S+)", line):
                self.url = found[1]
                break
        else:
            self._process.wait(DEADLINE_S)
            self._reading.join(DEADLINE_S)
            raise AssertionError(f"the server does not start: {''.join(self._errors)}")

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.communicate()

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    def client(self, user: str | None = None, password: str = PASSWORD, verify: Any = PLAIN) -> httpx.Client:
        """A client, logged in as `user`."""
        headers = {}
        if user is not None:
            body = {"user": user, "password": password}
            answer = httpx.post(f"{self.url}/v1/api/auth/login", json=body, timeout=DEADLINE_S, verify=verify)
            assert answer.status_code == 200, answer.text
            headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        return httpx.Client(base_url=self.url, timeout=DEADLINE_S, verify=verify, headers=headers)

    def set_up(self) -> None:
        """Give the database its first passwords: of root, and of dora, a dba."""
        body = {"user": "dora", "password": PASSWORD, "root_password": ROOT_PASSWORD}
        with self.client() as client:
            answer = client.post("/v1/api/auth/setup", json=body)
            assert answer.status_code == 200, answer.text

    def tell(self, number: int = signal.SIGTERM) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def wait(self) -> int:
        """Its exit status, once it has ended."""
        status = self._process.wait(DEADLINE_S)
        self._reading.join(DEADLINE_S)
        if self._process.stdout is not None:
            self.said += self._process.stdout.read()
        return status

    @property
    def logged(self) -> list[dict[str, Any]]:
        """The lines of its log so far."""
        return [json.loads(line) for line in self._errors]

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._errors.append(line)


def sql(client: httpx.Client, text: str) -> httpx.Response:
    """The answer of POST /v1/api/sql."""
    return client.post("/v1/api/sql", json={"sql": text})


def run(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """A command that ends by itself."""
    return subprocess.run(
        [sys.executable, "-m", "kalamdb", *arguments],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
        env=os.environ | (environment or {}),
    )

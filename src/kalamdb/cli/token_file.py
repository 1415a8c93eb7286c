"""Tokens of log-ins that outlive a command: `tokens.json` beside the preferences, which its owner alone can read.

A refresh token is good once, so commands that run at the same time take turns.
"""

from __future__ import annotations

import datetime
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kalamdb.cli.connection.target import Target
from kalamdb.cli.preferences import configuration_folder
from kalamdb.errors import Error, InvalidSetting

EARLY = datetime.timedelta(seconds=60)
TIMEOUT_S = 30.0


def tokens_path() -> Path:
    """Where they are."""
    return configuration_folder() / "tokens.json"


@contextmanager
def _tokens() -> Iterator[dict[str, dict[str, Any]]]:
    """All of them, by the server's URL; what the block makes of them is kept."""
    path = tokens_path()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise InvalidSetting(f"{path} cannot be read: {error.strerror}") from None
    with os.fdopen(descriptor, "r+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        os.fchmod(file.fileno(), 0o600)
        before = file.read()
        try:
            tokens: dict[str, dict[str, Any]] = json.loads(before) if before.strip() else {}
        except ValueError:
            raise InvalidSetting(f"{path} is no JSON; remove it, and log in again") from None
        yield tokens
        after = json.dumps(tokens, indent=1)
        if after != before:
            file.seek(0)
            file.truncate()
            file.write(after)


def _key(place: str) -> str:
    from kalamdb.client.address import read_address

    return read_address(place).url


def kept_token(target: Target) -> str | None:
    """A token of `kalam login` that is good for the target, refreshed where it was about to end; None where there is
    none, or where it is another user's. Raises InvalidSetting, and what the server says to a refresh."""
    if not tokens_path().exists():
        return None
    with _tokens() as tokens:
        key = _key(target.place)
        kept = tokens.get(key)
        if kept is None or target.user not in (None, kept["user"]):
            return None
        if datetime.datetime.fromisoformat(kept["expires_at"]) - EARLY < datetime.datetime.now(datetime.UTC):
            try:
                tokens[key] = kept = _asked(target.place, "refresh", {"refresh_token": kept["refresh_token"]})
            except Error as error:
                error.message += f"; log in again: kalam login {target.place}"
                error.args = (error.message,)
                raise
        return str(kept["access_token"])


def log_in(place: str, user: str, password: str) -> None:
    """Have the server's tokens, and keep them. Raises kalamdb.Error."""
    told = _asked(place, "login", {"user": user, "password": password})
    with _tokens() as tokens:
        tokens[_key(place)] = told


def log_out(place: str) -> bool:
    """Have the server and this file forget them; whether there were any."""
    with _tokens() as tokens:
        kept = tokens.pop(_key(place), None)
    if kept is None:
        return False
    _asked(place, "logout", {"refresh_token": kept["refresh_token"]})
    return True


def _asked(place: str, call: str, body: dict[str, str]) -> dict[str, Any]:
    """What the server answers to a call about log-ins. Raises kalamdb.Error."""
    from kalamdb.client.address import read_address
    from kalamdb.client.connections import Connections
    from kalamdb.client.remote_errors import error_of
    from kalamdb.client.steps import Request
    from kalamdb.client.tls import tls_context

    address = read_address(place)
    tls = (
        tls_context(ca_file=None, certificate_file=None, key_file=None, verify=True)
        if address.secure
        else None
    )
    connections = Connections(address, tls)
    headers = {"Content-Type": "application/json"}
    try:
        answer = connections.send(
            Request("POST", f"/v1/api/auth/{call}", json.dumps(body).encode(), headers, TIMEOUT_S)
        )
    finally:
        connections.close()
    if answer.status != 200:
        raise error_of(answer)
    told: dict[str, Any] = json.loads(answer.body or b"{}")
    kept = {name: told[name] for name in ("access_token", "expires_at", "refresh_token") if name in told}
    return kept | {"user": told.get("user", {}).get("id", "") if isinstance(told.get("user"), dict) else ""}

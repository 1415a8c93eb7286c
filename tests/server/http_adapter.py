"""Scripts over HTTP: a database behind a real server on loopback, each statement a request."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import kalamdb
from kalamdb.auth import Role
from kalamdb.auth.account import Account
from kalamdb.protocol import decode_cell, decode_data_type
from kalamdb.types import TypeName
from tests.script_runner import Answer, Refused
from tests.server.serving import Served, token_of


class HttpAdapter:
    """The database behind a server, over a directory.

    Over HTTP users must exist, and have the role that they have: who is not there is made before the first statement,
    and a role that a script gives is given. A namespace that was USEd is sent with each request from then on.
    """

    def __init__(self, directory: Path, **settings: Any) -> None:
        self._directory = directory
        self._settings = settings
        self._namespaces: dict[str, str] = {}
        self._open()

    def _open(self) -> None:
        self._database = kalamdb.open(self._directory, user_requests_per_s_max=None, **self._settings)
        self._served = Served(self._database).__enter__()

    def execute(self, user: str, role: str | None, sql: str) -> Answer:
        """Runs `sql` as this user. Raises Refused."""
        if user != "root":
            self._meet(user, role)
        body = {"sql": sql, "namespace_id": self._namespaces.get(user)}
        told = self._served.client().post(
            "/v1/api/sql", json=body, headers={"Authorization": f"Bearer {token_of(self._database, user)}"}
        )
        shape = told.json()
        if shape["status"] == "error":
            error = shape["error"]
            # 503: a storage that is not there.
            assert 400 <= told.status_code < 500 or told.status_code == 503, error
            raise Refused(CODES[error["details"]["error"]], error["message"])
        assert told.status_code == 200
        words = sql.split()
        if words[0].upper() == "USE":
            self._namespaces[user] = words[-1].strip('"')
        return _answer_of(shape["results"][-1])

    def _meet(self, user: str, role: str | None) -> None:
        accounts = self._database.accounts
        account = accounts.find(user)
        given = Role(role or "user")
        if account is None:
            now = self._database.now()
            accounts.create(Account(user, given, now, now))
        elif role is not None and account.role is not given:
            accounts.replace([user], lambda one: replace(one, role=given))

    def reopen(self) -> None:
        """Closes the database and opens it again."""
        self.close()
        self._open()

    def flush(self) -> None:
        """Moves all rows to cold segments. Raises Refused."""
        self._wait_for("flush")

    def compact(self) -> None:
        """Puts cold segments together. Raises Refused."""
        self._wait_for("compact")

    def _wait_for(self, job: str) -> None:
        try:
            getattr(self._database, job)()
        except kalamdb.Error as error:
            raise Refused(error.code, error.message) from error

    def close(self) -> None:
        """Lets go of it."""
        self._served.__exit__()
        self._database.close()


def _answer_of(result: dict[str, Any]) -> Answer:
    columns = result.get("schema", [])
    types = [decode_data_type(column["data_type"]) for column in columns]
    rows = [
        [
            json.loads(cell) if of.name is TypeName.JSON and cell is not None else decode_cell(cell, of)
            for cell, of in zip(row, types, strict=True)
        ]
        for row in result.get("rows", [])
    ]
    return Answer([column["name"] for column in columns], rows, result["row_count"])


def _codes(error: type[kalamdb.Error]) -> dict[str, str]:
    found = {error.__name__: error.code}
    for leaf in error.__subclasses__():
        found |= _codes(leaf)
    return found


CODES = _codes(kalamdb.Error)

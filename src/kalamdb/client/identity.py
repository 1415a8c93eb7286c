"""Who a client is: a token that was given, or tokens from a log-in, refreshed before they end.

A refresh token is good once, so one thread or task at a time gets new tokens; the others wait and take those.
"""

from __future__ import annotations

import contextlib
import datetime
import time
from typing import Any

from kalamdb.client.json_text import dumps, loads
from kalamdb.client.remote_errors import error_of
from kalamdb.client.steps import Answer, OneAtATime, Request, Steps
from kalamdb.errors import Error, InterfaceError

EARLY_PART = 0.1
"""Tokens are refreshed when so much of their time is left, at most EARLY_S."""
EARLY_S = 60.0
_JSON = {"Content-Type": "application/json"}


class Identity:
    """Safe for threads."""

    def __init__(self, token: str | None, user: str | None, password: str | None, timeout_s: float) -> None:
        """Raises InterfaceError where it is neither a token nor a user."""
        if (token is None) == (user is None):
            raise InterfaceError("say who you are: token=…, or user=… and password=…")
        if token is not None and password is not None:
            raise InterfaceError("a password goes with user=…, and not with token=…")
        self.user = user
        self._password = "" if password is None else password
        self._timeout_s = timeout_s
        self._token = token
        self._refresh_token: str | None = None
        self._refresh_at = float("inf")

    def bearer(self) -> Steps[str]:
        """The token to speak with now. Raises InvalidCredentials, AccountLocked, RateLimitExceeded."""
        token = self._token
        if token is not None and time.monotonic() < self._refresh_at:
            return token
        fresh: str = yield OneAtATime(self._renewed(token))
        return fresh

    def renewed(self, refused: str) -> Steps[str | None]:
        """Another token than the one that was refused; None where there is no way to one."""
        if self.user is None:
            return None
        fresh: str = yield OneAtATime(self._renewed(refused))
        return fresh

    def _renewed(self, old: str | None) -> Steps[str]:
        if self._token is not None and self._token != old:
            return self._token  # another has got it meanwhile
        refresh_token, self._refresh_token = self._refresh_token, None
        if refresh_token is not None:
            with contextlib.suppress(Error):
                return self._keep((yield self._ask("refresh", {"refresh_token": refresh_token})))
        return self._keep((yield self._ask("login", {"user": self.user, "password": self._password})))

    def _ask(self, call: str, body: dict[str, Any]) -> Request:
        return Request("POST", f"/v1/api/auth/{call}", dumps(body), _JSON, self._timeout_s)

    def _keep(self, answer: Answer) -> str:
        if answer.status != 200:
            raise error_of(answer)
        told = loads(answer.body)
        self._refresh_token = told["refresh_token"]
        left_s = _left_s(told["expires_at"], answer.headers.get("date"))
        self._refresh_at = time.monotonic() + left_s - min(EARLY_S, left_s * EARLY_PART)
        token: str = told["access_token"]
        self._token = token
        return token

    def farewell(self) -> Request | None:
        """What ends a log-in of this client's own."""
        token, self._refresh_token = self._refresh_token, None
        return None if token is None else self._ask("logout", {"refresh_token": token})


def _left_s(expires_at: str, date: str | None) -> float:
    """How long a token is good, by the server's own clock: this machine's may be another."""
    now = datetime.datetime.now(datetime.UTC)
    if date is not None:
        with contextlib.suppress(ValueError, TypeError):
            from email.utils import parsedate_to_datetime

            now = parsedate_to_datetime(date)
    return max(0.0, (datetime.datetime.fromisoformat(expires_at) - now).total_seconds())

"""Statements over HTTP, as steps: who asks, what is sent, what is done again, what the answer means."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from kalamdb.client.identity import Identity
from kalamdb.client.json_text import dumps, loads, parameter
from kalamdb.client.remote_errors import error_of
from kalamdb.client.result import ArrowResult, Result, result_of
from kalamdb.client.statement_text import only_reads
from kalamdb.client.steps import Answer, Pause, Request, Steps
from kalamdb.errors import (
    ConnectionLost,
    Error,
    InterfaceError,
    InvalidParameter,
    ServerTimeout,
    ServerUnreachable,
)

ARROW = "application/vnd.apache.arrow.stream"
PAUSE_S_MIN, PAUSE_S_MAX = 0.05, 2.0
_USING = "Using namespace "


class Calls:
    """The statements of one client. Safe for threads. `namespace`: what unqualified names mean."""

    def __init__(self, identity: Identity, namespace: str, timeout_s: float, retries: int) -> None:
        self.identity = identity
        self.namespace = namespace
        self.timeout_s = timeout_s
        self.retries = retries

    def in_namespace(self, namespace: str) -> Calls:
        """The same with a namespace of their own."""
        return Calls(self.identity, namespace, self.timeout_s, self.retries)

    def execute(self, sql: str, parameters: Sequence[Any] | None, *, arrow: bool = False) -> Steps[Result]:
        """The result of the last of the statements. Raises what they raise."""
        if arrow:
            return (yield from self._arrow(sql, parameters))
        results, error = yield from self.execute_each(sql, parameters)
        if error is not None:
            raise error
        return results[-1]

    def execute_each(
        self, sql: str, parameters: Sequence[Any] | None
    ) -> Steps[tuple[list[Result], Error | None]]:
        """The results of the statements that succeeded, and what the next one met."""
        answer = yield from self._asked(sql, parameters, {"Accept": "application/json"})
        try:
            told = loads(answer.body)
            results = [result_of(one, told["took_ms"]) for one in told["results"]]
        except (ValueError, KeyError, TypeError) as error:
            if answer.status != 200:
                return [], error_of(answer)
            raise ConnectionLost("the answer of the server broke off, or is not kalamdb's") from error
        for result in results:
            # Each request is a session of its own, so that what USE says is kept here.
            if result.message is not None and result.message.startswith(_USING):
                self.namespace = result.message.removeprefix(_USING)
        return results, None if answer.status == 200 else error_of(answer)

    def _arrow(self, sql: str, parameters: Sequence[Any] | None) -> Steps[Result]:
        answer = yield from self._asked(sql, parameters, {"Accept": ARROW}, stream=True)
        if answer.status != 200:
            raise error_of(answer)
        if answer.stream is None:
            return ArrowResult(answer.body, lambda: None)
        return ArrowResult(answer.stream, answer.stream.close)

    def _asked(
        self, sql: str, parameters: Sequence[Any] | None, headers: dict[str, str], *, stream: bool = False
    ) -> Steps[Answer]:
        """The answer, whatever it is, once asking again is no use. What may change something is sent once."""
        body = self._body(sql, parameters)
        again = self.retries if only_reads(sql) else 0
        until = time.monotonic() + self.timeout_s
        tries = 0
        while True:
            try:
                answer = yield from self._authorized(
                    lambda token: Request(
                        "POST",
                        "/v1/api/sql",
                        body,
                        {"Content-Type": "application/json", "Authorization": f"Bearer {token}", **headers},
                        max(0.001, until - time.monotonic()),
                        stream,
                    )
                )
            except ServerTimeout:
                raise
            except (ServerUnreachable, ConnectionLost):
                if tries >= again:
                    raise
                pause_s = pause_before(tries)
            else:
                wait_s = answer.headers.get("retry-after", "")
                if tries >= again or answer.status not in (429, 503) or not wait_s.isdigit():
                    return answer
                pause_s = float(wait_s)
                if time.monotonic() + pause_s >= until:
                    return answer
            tries += 1
            yield Pause(min(pause_s, max(0.0, until - time.monotonic())))

    def _authorized(self, made: Any) -> Steps[Answer]:
        token = yield from self.identity.bearer()
        answer: Answer = yield made(token)
        if answer.status != 401:
            return answer
        # It was refused before anything was done, so that a write may be sent anew too.
        other = yield from self.identity.renewed(token)
        if other is not None:
            answer = yield made(other)
        return answer

    def _body(self, sql: str, parameters: Sequence[Any] | None) -> bytes:
        if not isinstance(sql, str):
            raise InterfaceError(f"a statement is a str, not {type(sql).__name__}")
        told: dict[str, Any] = {"sql": sql, "namespace_id": self.namespace}
        if parameters is not None:
            told["params"] = encoded(parameters)
        return dumps(told)


def encoded(parameters: Sequence[Any]) -> list[Any]:
    """Parameters as JSON has them. Raises InvalidParameter."""
    if isinstance(parameters, (str, bytes)) or not isinstance(parameters, Sequence):
        raise InvalidParameter(f"parameters are a list or tuple of values, not {type(parameters).__name__}")
    return [parameter(value) for value in parameters]


def pause_before(tries: int) -> float:
    """How long to wait before the next try, in seconds: each time about twice as long."""
    import random

    return min(PAUSE_S_MAX, PAUSE_S_MIN * float(2 ** min(tries, 10))) * random.uniform(0.5, 1.0)

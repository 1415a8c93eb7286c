"""S8: log-ins tell nobody by their time who there is, and keep nobody who is in from going on."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

import kalamdb
from kalamdb.auth.passwords import Passwords
from tests.server import log_in_times
from tests.server.serving import DEADLINE_S, PLAIN, Served, sql


def test_a_password_that_is_not_computed_for_who_is_not_there_is_found(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Passwords.is_right

    def hasty(passwords: Passwords, password: str, kept: str | None) -> bool:
        return kept is not None and whole(passwords, password, kept)

    monkeypatch.setattr(Passwords, "is_right", hasty)

    figures = log_in_times.prove(seed, pairs=3, at_once=4)

    assert any("another time than nobody's" in finding for finding in figures.findings)


def test_a_hundred_log_ins_keep_nobody_from_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them wait for computations that do not end; who is in reads meanwhile."""
    begun, go_on = threading.Semaphore(0), threading.Event()

    def endless(passwords: Passwords, password: str, kept: str | None) -> bool:
        begun.release()
        assert go_on.wait(DEADLINE_S)
        return False

    monkeypatch.setattr(Passwords, "is_right", endless)
    settings = {"trusted_proxies": log_in_times.PROXY}
    with (
        kalamdb.open(tmp_path / "data", **settings) as db,
        Served(db) as served,
        ThreadPoolExecutor(log_in_times.AT_ONCE) as clients,
    ):
        db.execute("CREATE USER ann; CREATE SHARED TABLE t (id BIGINT PRIMARY KEY); INSERT INTO t VALUES (1)")

        def log_in(number: int) -> int:
            with httpx.Client(base_url=served.url, timeout=DEADLINE_S, verify=PLAIN) as client:
                body = {"user": f"user{number}", "password": "not the password"}
                headers = {"X-Forwarded-For": f"192.0.2.{number}"}
                return client.post("/v1/api/auth/login", json=body, headers=headers).status_code

        answers = [clients.submit(log_in, number) for number in range(log_in_times.AT_ONCE)]
        try:
            assert begun.acquire(timeout=DEADLINE_S), "nothing is computed"

            for _ in range(20):
                assert sql(served, "ann", "SELECT id FROM t").status_code == 200
            assert not any(answer.done() and answer.result() == 401 for answer in answers)
        finally:
            go_on.set()

        assert {answer.result() for answer in answers} <= {401, 429}

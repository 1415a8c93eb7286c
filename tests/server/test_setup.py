"""The first passwords: from the server's own machine, both or neither, and once."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Iterator

import httpx
import pytest

import kalamdb
from tests.server.serving import Served

PASSWORD = "correct horse battery"
ROOT_PASSWORD = "staple of all horses"
BODY = {"user": "dora", "password": PASSWORD, "root_password": ROOT_PASSWORD}


@pytest.fixture
def near(notes: kalamdb.Database) -> Iterator[Served]:
    """The database behind a server that only this machine reaches, as `kalam serve` knows it."""
    notes.asgi().loopback = True
    with Served(notes) as serving:
        yield serving


def set_up(served: Served, body: object = BODY, **headers: str) -> httpx.Response:
    return served.client().post("/v1/api/auth/setup", json=body, headers=headers)


def log_in(served: Served, user: str, password: str, **headers: str) -> httpx.Response:
    body = {"user": user, "password": password}
    return served.client().post("/v1/api/auth/login", json=body, headers=headers)


def needs_setup(served: Served) -> bool:
    found = served.client().get("/v1/api/auth/status").json()
    assert set(found) == {"needs_setup", "message"}
    return bool(found["needs_setup"])


def test_it_gives_root_a_password_and_makes_a_dba(near: Served) -> None:
    assert needs_setup(near)

    answer = set_up(near)

    assert answer.status_code == 200
    assert set(answer.json()["user"]) == {"id", "role", "email", "created_at", "updated_at"}
    assert answer.json()["user"]["role"] == "dba"
    assert not needs_setup(near)
    assert log_in(near, "dora", PASSWORD).json()["admin_ui_access"] is True
    assert log_in(near, "root", ROOT_PASSWORD).json()["user"]["role"] == "system"
    assert log_in(near, "root", "").status_code == 401
    audited = near.db.execute("SELECT target, outcome FROM system.audit_log WHERE action = 'SET UP'")
    assert audited.fetchall() == [("dora", "success")]


def test_it_is_done_once(near: Served) -> None:
    set_up(near)

    again = set_up(near, {**BODY, "user": "eve"})

    assert again.status_code == 409
    assert again.json()["error"]["code"] == "ALREADY_SET_UP"
    assert near.db.accounts.find("eve") is None


def test_of_many_at_once_one_is_first(near: Served) -> None:
    with concurrent.futures.ThreadPoolExecutor(8) as clients:
        statuses = list(clients.map(lambda n: set_up(near, {**BODY, "user": f"d{n}"}).status_code, range(8)))

    assert sorted(statuses) == [200] + [409] * 7
    assert sum(near.db.accounts.find(f"d{n}") is not None for n in range(8)) == 1


def test_a_password_that_root_was_given_in_the_process_counts(near: Served) -> None:
    near.db.execute(f"ALTER USER root SET PASSWORD '{ROOT_PASSWORD}'")

    assert not needs_setup(near)
    assert set_up(near).status_code == 409


CANNOT_BE = [
    {"password": "short"},
    {"root_password": "password123"},
    {"user": "root"},
    {"user": ""},
    {"user": "x\n"},
    {"user": "ann"},
]


def test_what_cannot_be_changes_nothing(near: Served) -> None:
    near.db.execute("CREATE USER ann")

    for wrong in CANNOT_BE:
        answer = set_up(near, {**BODY, **wrong})

        assert answer.status_code == 400, wrong
        assert answer.json()["error"]["code"] == "INVALID_REQUEST"
        assert needs_setup(near)
    assert near.db.accounts.find("dora") is None


def test_root_without_a_password_comes_from_this_machine(near: Served) -> None:
    assert log_in(near, "root", "").json()["user"]["role"] == "system"


PASSED_ON = [
    {"X-Forwarded-For": "127.0.0.1"},
    {"X-Forwarded-Host": "localhost"},
    {"X-Forwarded-Proto": "http"},
    {"Forwarded": "for=127.0.0.1"},
    {"X-Real-IP": "127.0.0.1"},
    {"Via": "1.1 proxy"},
    {"Host": "db.example"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
]


def test_what_somebody_passed_on_does_not_come_from_this_machine(near: Served) -> None:
    for headers in PASSED_ON:
        refused = [set_up(near, **headers), log_in(near, "root", "", **headers)]

        assert [answer.status_code for answer in refused] == [403, 403], headers
        assert {answer.json()["error"]["code"] for answer in refused} == {"REMOTE_ACCESS_DENIED"}
    assert needs_setup(near)


def test_a_refused_log_in_of_root_is_audited(near: Served) -> None:
    log_in(near, "root", "", Forwarded="for=127.0.0.1")

    rows = near.db.execute("SELECT actor, target, outcome FROM system.audit_log WHERE action = 'LOG IN'")
    assert rows.fetchall() == [("anonymous", "root", "denied")]

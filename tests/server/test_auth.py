"""Logging in, going on and logging out over HTTP, and who may try how often from where."""

from __future__ import annotations

import datetime
from collections.abc import Iterator

import httpx
import pytest

import kalamdb
from tests.auth.conftest import Counted
from tests.server.serving import Served

PASSWORD = "correct horse battery"
ADDRESS = "203.0.113.7"


@pytest.fixture
def served(notes: kalamdb.Database) -> Iterator[Served]:
    """ann (user) and dora (dba), both with the same password."""
    notes.execute(f"CREATE USER ann WITH PASSWORD '{PASSWORD}' ROLE 'user' EMAIL 'ann@example.org'")
    notes.execute(f"CREATE USER dora WITH PASSWORD '{PASSWORD}' ROLE 'dba'")
    with Served(notes) as serving:
        yield serving


def log_in(served: Served, user: str, password: str, **headers: str) -> httpx.Response:
    body = {"user": user, "password": password}
    return served.client().post("/v1/api/auth/login", json=body, headers=headers)


def refresh(served: Served, token: str) -> httpx.Response:
    return served.client().post("/v1/api/auth/refresh", json={"refresh_token": token})


def without_times(answer: httpx.Response) -> dict[str, object]:
    found = answer.json()
    del found["took_ms"], found["took"]
    return found


def test_a_log_in_gives_what_clients_need(served: Served) -> None:
    answer = log_in(served, "ann", PASSWORD)
    found = answer.json()

    assert answer.status_code == 200
    assert set(found) == {
        "user",
        "admin_ui_access",
        "access_token",
        "expires_at",
        "refresh_token",
        "refresh_expires_at",
    }
    assert set(found["user"]) == {"id", "role", "email", "created_at", "updated_at"}
    assert (found["user"]["id"], found["user"]["role"], found["user"]["email"]) == (
        "ann",
        "user",
        "ann@example.org",
    )
    assert found["admin_ui_access"] is False
    ends = [datetime.datetime.fromisoformat(found[name]) for name in ("expires_at", "refresh_expires_at")]
    assert datetime.datetime.now(datetime.UTC) < ends[0] < ends[1]
    assert answer.headers["cache-control"] == "no-store"


def test_the_token_speaks_for_who_logged_in(served: Served) -> None:
    token = log_in(served, "dora", PASSWORD).json()["access_token"]
    bearer = {"Authorization": f"Bearer {token}"}

    rows = served.client().post(
        "/v1/api/sql", json={"sql": "SELECT CURRENT_USER(), CURRENT_ROLE()"}, headers=bearer
    )
    me = served.client().get("/v1/api/auth/me", headers=bearer)

    assert rows.json()["results"][0]["rows"] == [["dora", "dba"]]
    assert me.json()["user"]["id"] == "dora"
    assert me.json()["admin_ui_access"] is True


def test_a_wrong_password_and_a_wrong_name_have_the_same_answer(served: Served) -> None:
    # So many as an address may try before it waits.
    for user in ("ann", "nobody", "\x00", "root", "a" * 10_000):
        answer = log_in(served, user, "not the password")

        assert answer.status_code == 401
        assert without_times(answer) == {
            "status": "error",
            "results": [],
            "error": {
                "code": "INVALID_CREDENTIALS",
                "message": "the user or the password is wrong",
                "details": {"error": "InvalidCredentials", "sqlstate": "28P01", "position": None},
            },
        }


def test_an_unknown_user_costs_the_computation_that_a_known_one_does(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    import argon2.low_level

    counted = Counted(argon2.low_level.verify_secret)
    monkeypatch.setattr("argon2._password_hasher.verify_secret", counted)

    costs = []
    for user in ("ann", "nobody"):
        before = counted.calls
        log_in(served, user, "not the password")
        costs.append(counted.calls - before)

    assert costs == [1, 1]


def test_xff_and_x_real_ip_spoof(served: Served) -> None:
    """Fifty forged addresses are one address, and the eleventh try of a minute waits."""
    answers = []
    for number in range(50):
        forged = f"198.51.100.{number}"
        answers.append(
            log_in(
                served,
                f"user{number}",
                "not the password",
                **{"X-Forwarded-For": forged, "X-Real-IP": forged, "Forwarded": f"for={forged}"},
            )
        )
    tried = [answer for answer in answers if answer.status_code == 401]
    waiting = [answer for answer in answers if answer.status_code == 429]

    assert len(tried) <= 10
    assert len(tried) + len(waiting) == 50
    assert {answer.json()["error"]["code"] for answer in waiting} == {"RATE_LIMIT_EXCEEDED"}
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in waiting)
    addresses = {row[0] for row in served.db.execute("SELECT address FROM system.audit_log")}
    assert addresses <= {None, "127.0.0.1"}


def test_an_account_is_locked_and_says_until_when(served: Served) -> None:
    limits = served.db.front_door._limits
    for _ in range(10):
        answer = log_in(served, "ann", PASSWORD + "x")
        # As if time had gone by, which would take minutes.
        limits._addresses.entries.clear()
        tries = limits._accounts.entries["ann"]
        tries.next_at, tries.recent = 0.0, []
    answer = log_in(served, "ann", PASSWORD)

    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "ACCOUNT_LOCKED"
    assert 0 < int(answer.headers["retry-after"]) <= 900


def test_a_refresh_token_is_good_once_and_its_copy_ends_all(served: Served) -> None:
    first = log_in(served, "ann", PASSWORD).json()
    second = refresh(served, first["refresh_token"])
    copied = refresh(served, first["refresh_token"])
    third = refresh(served, second.json()["refresh_token"])

    assert second.status_code == 200
    assert set(second.json()) == set(first)
    assert copied.status_code == 401
    assert third.status_code == 401


def test_a_refresh_token_may_come_as_bearer(served: Served) -> None:
    token = log_in(served, "ann", PASSWORD).json()["refresh_token"]

    answer = served.client().post("/v1/api/auth/refresh", headers={"Authorization": f"Bearer {token}"})

    assert answer.status_code == 200
    assert answer.json()["user"]["id"] == "ann"


@pytest.mark.parametrize("call", ["refresh", "logout"])
def test_an_access_token_is_no_refresh_token(served: Served, call: str) -> None:
    token = log_in(served, "ann", PASSWORD).json()["access_token"]
    client, path = served.client(), f"/v1/api/auth/{call}"

    answers = [
        client.post(path, headers={"Authorization": f"Bearer {token}"}),
        client.post(path, json={"refresh_token": token}),
        client.post(path),
    ]

    assert [answer.status_code for answer in answers] == [401, 401, 401]
    assert answers[2].json()["error"]["code"] == "MISSING_AUTHORIZATION"


def test_a_refresh_token_is_no_access_token(served: Served) -> None:
    token = log_in(served, "ann", PASSWORD).json()["refresh_token"]

    answer = served.client().get("/v1/api/auth/me", headers={"Authorization": f"Bearer {token}"})

    assert answer.status_code == 401


def test_no_tokens_come_from_a_log_in_that_was_logged_out(served: Served) -> None:
    made = log_in(served, "ann", PASSWORD).json()
    token = {"refresh_token": made["refresh_token"]}

    out = served.client().post("/v1/api/auth/logout", json=token)

    assert out.status_code == 200
    assert refresh(served, made["refresh_token"]).status_code == 401
    actions = [row[0] for row in served.db.execute("SELECT action FROM system.audit_log")]
    assert {"LOG IN", "LOG OUT"} <= set(actions)


def test_an_access_token_is_over_with_the_log_out(served: Served) -> None:
    made, other = (log_in(served, "ann", PASSWORD).json() for _ in range(2))

    def answers(call: str, token: str, **more: object) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"}
        return served.client().request("POST" if more else "GET", call, headers=headers, **more)

    calls = (
        ("/v1/api/sql?sql=SELECT 1", {}),
        ("/v1/api/sql", {"json": {"sql": "SELECT 1"}}),
        ("/v1/api/auth/me", {}),
    )
    for call, more in calls:
        assert answers(call, made["access_token"], **more).status_code == 200

    served.client().post("/v1/api/auth/logout", json={"refresh_token": made["refresh_token"]})

    for call, more in calls:
        answer = answers(call, made["access_token"], **more)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "TOKEN_EXPIRED")
        assert answers(call, other["access_token"], **more).status_code == 200


NO_BODIES = [
    b"{}",
    b"null",
    b'{"user":"ann"}',
    b'{"user":1,"password":2,"refresh_token":3,"root_password":4}',
    b'{"user":"ann","user":"dora","password":"correct horse battery"}',
    b'{"user":"ann","password":"correct horse battery","role":"system"}',
    b"\xff",
    b"[" * 100_000,
]


@pytest.mark.parametrize("call", ["login", "refresh", "logout", "setup"])
def test_a_body_that_is_none_is_refused_and_not_quoted(served: Served, call: str) -> None:
    served.db.asgi().loopback = True
    for body in NO_BODIES:
        answer = served.client().post(
            f"/v1/api/auth/{call}", content=body, headers={"Content-Type": "application/json"}
        )

        assert answer.status_code == 400, body
        assert answer.json()["error"]["code"] == "INVALID_REQUEST"
        assert "correct horse" not in answer.text


def test_root_without_a_password_does_not_come_through_a_mounted_application(served: Served) -> None:
    answer = log_in(served, "root", "")
    setup = served.client().post(
        "/v1/api/auth/setup", json={"user": "d", "password": PASSWORD, "root_password": PASSWORD}
    )

    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "REMOTE_ACCESS_DENIED"
    assert setup.status_code == 403
    assert setup.json()["error"]["code"] == "REMOTE_ACCESS_DENIED"
    assert served.db.front_door.needs_setup()


def test_a_server_that_ends_lets_nobody_in(served: Served) -> None:
    served.db.asgi().closing = True

    assert log_in(served, "ann", PASSWORD).status_code == 503
    assert served.client().get("/v1/api/auth/status").status_code == 503


def test_whoever_is_served_again_may_log_in_again(notes: kalamdb.Database) -> None:
    notes.execute(f"CREATE USER ann WITH PASSWORD '{PASSWORD}'")
    for _ in range(2):
        with Served(notes) as serving:
            assert log_in(serving, "ann", PASSWORD).status_code == 200

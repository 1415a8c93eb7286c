"""Who sends a request: tokens, and where they come from."""

from __future__ import annotations

import pytest

from tests.server.serving import Served, sql, token_of


def ask(served: Served, **headers: str):
    return served.client().post("/v1/api/sql", json={"sql": "SELECT CURRENT_USER()"}, headers=headers)


def test_without_a_token_nobody_is_there(served: Served) -> None:
    answer = ask(served)

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["error"]["code"] == "MISSING_AUTHORIZATION"


@pytest.mark.parametrize(
    "value",
    [
        "Bearer",
        "Bearer x.y.z",
        "Basic c2FtOnNhbQ==",
        "Bearer ä".encode(),
        "token",
        "Bearer " + "x" * 9000,
    ],
)
def test_what_is_no_token_of_ours_is_refused(served: Served, value) -> None:
    answer = ask(served, Authorization=value)

    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "INVALID_CREDENTIALS"


def test_the_scheme_is_read_in_any_case(served: Served) -> None:
    assert ask(served, Authorization=f"bearer {token_of(served.db, 'sam')}").status_code == 200


@pytest.mark.parametrize("scheme", ["Digest ", "Bearer:", "Token  ", "JWT    ", "Bearer\t"])
def test_another_scheme_lets_nobody_in_however_good_the_token(served: Served, scheme: str) -> None:
    answer = ask(served, Authorization=scheme + token_of(served.db, "sam"))

    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "INVALID_CREDENTIALS"


def test_two_tokens_are_one_too_many(served: Served) -> None:
    token = token_of(served.db, "sam")
    answer = served.client().post(
        "/v1/api/sql",
        json={"sql": "SELECT 1"},
        headers=[("Authorization", f"Bearer {token}"), ("Authorization", f"Bearer {token}")],
    )

    assert answer.status_code == 400


def test_a_token_from_before_a_new_role_is_told_to_be_refreshed(served: Served) -> None:
    assert sql(served, "ann", "SELECT 1").status_code == 200

    served.db.execute("ALTER USER ann SET ROLE service")
    answer = sql(served, "ann", "SELECT 1")

    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "TOKEN_EXPIRED"


def test_a_deleted_user_is_nobody_with_the_next_request(served: Served) -> None:
    assert sql(served, "ann", "SELECT 1").status_code == 200

    served.db.execute("DROP USER ann")

    assert sql(served, "ann", "SELECT 1").status_code == 401


def test_an_expired_token_is_told_so(served_with) -> None:
    import time

    served = served_with(access_token_ttl_s=1)
    client = served.client("sam")
    assert client.post("/v1/api/sql", json={"sql": "SELECT 1"}).status_code == 200
    time.sleep(1.1)

    answer = client.post("/v1/api/sql", json={"sql": "SELECT 1"})

    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "TOKEN_EXPIRED"


FORGED = {
    "X-Forwarded-For": "6.6.6.6",
    "X-Real-IP": "6.6.6.6",
    "Forwarded": "for=6.6.6.6",
    "True-Client-IP": "6.6.6.6",
}


def refused_from(served: Served) -> list[str]:
    """The addresses in the audit log of what ann was refused."""
    rows = served.db.execute(
        "SELECT address FROM system.audit_log WHERE actor = 'ann' AND outcome = 'denied'"
    )
    return [address for (address,) in rows]


def test_xff_and_x_real_ip_spoof(served: Served) -> None:
    """The address is the peer's, whatever a client writes about it."""
    answer = served.client("ann").post("/v1/api/sql", json={"sql": "DROP TABLE app.notes"}, headers=FORGED)

    assert answer.status_code == 403
    assert refused_from(served) == ["127.0.0.1"]


def test_a_trusted_proxy_is_believed_of_its_own_client_alone(served_with) -> None:
    served = served_with(trusted_proxies=["127.0.0.0/8", "10.0.0.0/8"])
    headers = {**FORGED, "X-Forwarded-For": "6.6.6.6, 203.0.113.7, 10.1.1.1"}

    served.client("ann").post("/v1/api/sql", json={"sql": "DROP TABLE app.notes"}, headers=headers)

    assert refused_from(served) == ["203.0.113.7"]

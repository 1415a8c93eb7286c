"""The example of a service around a database: one user's notes by two roads, and nobody else's."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

import kalamdb

ROOT = Path(__file__).parent.parent
PASSWORD = "correct horse battery"


@pytest.fixture
def client(db: kalamdb.Database) -> Iterator[TestClient]:
    for user in ("ann", "bob"):
        db.execute(f"CREATE USER {user} WITH PASSWORD '{PASSWORD}'")
    service = runpy.run_path(str(ROOT / "examples" / "service.py"))["service"]
    with TestClient(service(db)) as made:
        yield made


def bearer(client: TestClient, user: str) -> dict[str, str]:
    answer = client.post("/db/v1/api/auth/login", json={"user": user, "password": PASSWORD})
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def test_a_note_is_added_by_the_service_and_read_by_sql(client: TestClient) -> None:
    ann, bob = bearer(client, "ann"), bearer(client, "bob")

    added = client.post("/notes", json={"body": "hello"}, headers=ann)
    own, others = (
        client.post("/db/v1/api/sql", json={"sql": "SELECT id, body FROM app.notes"}, headers=headers).json()
        for headers in (ann, bob)
    )

    assert added.status_code == 201
    assert added.json()["user"] == "ann"
    assert own["results"][0]["rows"] == [[added.json()["id"], "hello"]]
    assert others["results"][0]["rows"] == []


def test_the_document_of_the_mounted_database_says_where_it_is(client: TestClient) -> None:
    assert client.get("/db/v1/api/openapi.json").json()["servers"] == [{"url": "/db"}]
    assert "kalamdb" in client.get("/db/").text


def test_who_has_no_token_adds_nothing(client: TestClient, db: kalamdb.Database) -> None:
    answer = client.post("/notes", json={"body": "x"}, headers={"Authorization": "Bearer nothing"})

    assert answer.status_code == 401
    assert db.execute("SELECT count(*) FROM all_users.app.notes").fetchone() == (0,)


def test_the_database_is_open_when_the_service_has_ended(client: TestClient, db: kalamdb.Database) -> None:
    client.post("/notes", json={"body": "hello"}, headers=bearer(client, "ann"))
    client.__exit__()

    assert db.execute("SELECT count(*) FROM all_users.app.notes").fetchone() == (1,)

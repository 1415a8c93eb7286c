"""The profile kalamdb-0.4 over HTTP: what its clients send is taken, and what they need is there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import kalamdb
from tests.server.serving import DEADLINE_S, PLAIN, Served

PASSWORD = "correct horse battery"


class Client:
    """What every client of the profile does: asks whether there is a set-up, logs in, and logs in once more where its
    token has expired. It takes only what it needs of an answer, and fails where that is not there."""

    def __init__(self, url: str, user: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=DEADLINE_S, verify=PLAIN)
        self._user = user
        assert self._http.get("/v1/api/auth/status").json()["needs_setup"] in (True, False)
        self.log_in()

    def log_in(self) -> None:
        body = {"user": self._user, "password": PASSWORD}
        found = self._http.post("/v1/api/auth/login", json=body).json()
        user = found["user"]
        assert user["role"] == user["role"].lower()
        assert all(user[name] for name in ("id", "created_at", "updated_at"))
        assert found["admin_ui_access"] in (True, False)
        assert found["expires_at"]
        self._http.headers["Authorization"] = f"Bearer {found['access_token']}"

    def sql(self, text: str, **more: Any) -> list[dict[str, Any]]:
        found = self._post(text, **more)
        if found["status"] == "error" and found["error"]["code"] == "TOKEN_EXPIRED":
            self.log_in()
            found = self._post(text, **more)
        assert found["status"] == "success", found["error"]["code"] + found["error"]["message"]
        for result in found["results"]:
            assert isinstance(result["row_count"], int)
            for column in result.get("schema", ()):
                assert {"name", "data_type", "index"} <= set(column)
        return found["results"]

    def rows(self, text: str, **more: Any) -> list[dict[str, Any]]:
        (result,) = self.sql(text, **more)
        names = [column["name"] for column in result["schema"]]
        return [dict(zip(names, row, strict=True)) for row in result["rows"]]

    def health(self) -> dict[str, Any]:
        found = self._http.get("/v1/api/healthcheck").json()
        assert {"status", "api_version"} <= set(found)
        return found

    def _post(self, text: str, **more: Any) -> dict[str, Any]:
        return self._http.post("/v1/api/sql", json={"sql": text, **more}).json()

    def close(self) -> None:
        self._http.close()


@pytest.fixture
def served(directory: Path) -> Iterator[Served]:
    with kalamdb.open(directory, compat="kalamdb-0.4") as db:
        db.execute(f"CREATE USER admin WITH PASSWORD '{PASSWORD}' ROLE 'dba'")
        with Served(db) as serving:
            yield serving


@pytest.fixture
def client(served: Served) -> Iterator[Client]:
    made = Client(served.url, "admin")
    yield made
    made.close()


def test_the_benchmark_runs_from_its_first_statement_to_its_last(client: Client) -> None:
    client.sql("CREATE NAMESPACE IF NOT EXISTS bench")
    client.sql("DROP TABLE IF EXISTS bench.items")
    client.sql("CREATE TABLE bench.items (id INT PRIMARY KEY, name TEXT, price DOUBLE)")
    values = ", ".join(f"({number}, 'item {number}', {number}.5)" for number in range(5_000))
    (inserted,) = client.sql(f"INSERT INTO bench.items (id, name, price) VALUES {values}")
    batch = client.sql(
        "BEGIN; UPDATE bench.items SET name = 'x' WHERE id = 1; DELETE FROM bench.items WHERE id = 2; COMMIT;"
    )
    client.sql("STORAGE FLUSH TABLE bench.items")

    assert inserted["row_count"] == 5_000
    assert [result["row_count"] for result in batch] == [0, 1, 1, 2]
    assert client.rows("SELECT COUNT(*) AS c FROM bench.items") == [{"c": "4999"}]
    assert client.rows("SELECT COUNT(*) AS c FROM system.live") == [{"c": "0"}]
    client.sql(f"CREATE USER bench_user WITH PASSWORD '{PASSWORD}' ROLE 'user'")
    client.sql("DROP USER IF EXISTS bench_user")
    for kind in ("USER", "SHARED", "STREAM"):
        ttl = " WITH (TTL_SECONDS = 60)" if kind == "STREAM" else ""
        client.sql(f"CREATE {kind} TABLE bench.t (id INT PRIMARY KEY, name TEXT){ttl}")
        client.sql("DROP TABLE IF EXISTS bench.t")
    client.sql("DROP TABLE IF EXISTS bench.items")


@pytest.mark.parametrize("order", ["", " ORDER BY id DESC", " ORDER BY price + 1"])
def test_an_int_key_is_told_as_int_after_a_reopen_too(served: Served, directory: Path, order: str) -> None:
    served.db.execute(
        "CREATE NAMESPACE app; CREATE SHARED TABLE app.t (id INT PRIMARY KEY, price INT, n BIGINT)"
    )
    served.db.execute(f"INSERT INTO app.t VALUES (1, 2, 3), ({1 << 40}, 2, 3)")

    def told(db: kalamdb.Database) -> list[object]:
        with Served(db) as serving:
            client = Client(serving.url, "admin")
            (result,) = client.sql(f"SELECT id, price, n FROM app.t{order}")
            client.close()
            assert {"1", str(1 << 40)} == {row[0] for row in result["rows"]}
            return [column["data_type"] for column in result["schema"]]

    served.db.close()
    with kalamdb.open(directory, compat="kalamdb-0.4") as again:
        assert told(again) == ["Int", "Int", "BigInt"]


def test_a_stream_key_needs_no_default(client: Client) -> None:
    client.sql("CREATE NAMESPACE app")

    client.sql("CREATE STREAM TABLE app.events (id TEXT PRIMARY KEY, body TEXT) WITH (TTL_SECONDS = 60)")
    client.sql("INSERT INTO app.events (id, body) VALUES ('a', 'b')")

    assert client.rows("SELECT id FROM app.events") == [{"id": "a"}]


def test_what_the_shell_asks_for_is_there(client: Client) -> None:
    client.sql(
        "CREATE NAMESPACE app; CREATE USER TABLE app.notes (id BIGINT PRIMARY KEY, body TEXT NOT NULL)"
    )

    assert client.health()["status"] == "healthy"
    assert {"name": "app"} in client.rows("SELECT name FROM system.namespaces ORDER BY name")
    assert {"table_name": "notes", "namespace_id": "app"} in client.rows(
        "SELECT table_name, namespace_id FROM system.tables"
    )
    tables = client.rows(
        "SELECT namespace_id AS namespace, table_name, table_type FROM system.tables ORDER BY namespace, table_name"
    )
    assert tables == [{"namespace": "app", "table_name": "notes", "table_type": "user"}]
    columns = client.rows(
        "SELECT table_schema, table_name, column_name, data_type, is_nullable, column_default, ordinal_position "
        "FROM information_schema.columns WHERE table_schema = 'app' ORDER BY ordinal_position"
    )
    assert [column["column_name"] for column in columns] == ["id", "body"]
    assert client.rows("SELECT table_name FROM information_schema.tables WHERE table_schema = 'app'")
    figures = client.rows("SELECT metric_name, metric_value FROM system.stats ORDER BY metric_name")
    assert {"rows", "bytes", "memory_bytes"} <= {figure["metric_name"] for figure in figures}
    assert all(isinstance(figure["metric_value"], str) for figure in figures)


STATEMENTS = [
    "STORAGE FLUSH ALL",
    "STORAGE FLUSH TABLE app.notes",
    "STORAGE COMPACT TABLE app.notes",
    "SHOW NAMESPACES",
    "SHOW TABLES",
    "DESCRIBE TABLE app.notes",
    "SHOW STATS FOR TABLE app.notes",
    "EXECUTE AS USER 'ann' (SELECT CURRENT_USER())",
    "SELECT * FROM system.live",
    "SELECT * FROM system.sessions",
    "SELECT * FROM system.cluster",
    "SELECT * FROM system.users",
]


def test_every_statement_of_the_profile_is_taken(client: Client) -> None:
    client.sql("CREATE NAMESPACE app; CREATE USER TABLE app.notes (id BIGINT PRIMARY KEY, body TEXT)")
    client.sql("CREATE USER ann WITH ROLE user")

    for statement in STATEMENTS:
        client.sql(statement)
    assert client.rows("SELECT user_id, role FROM system.sessions") == [{"user_id": "admin", "role": "dba"}]
    assert client.rows("SELECT role, is_leader FROM system.cluster") == [
        {"role": "leader", "is_leader": True}
    ]


def test_a_live_query_is_told_to_who_may_see_it(served: Served, client: Client) -> None:
    client.sql("CREATE NAMESPACE app; CREATE USER TABLE app.notes (id BIGINT PRIMARY KEY, body TEXT)")
    client.sql(f"CREATE USER ann WITH PASSWORD '{PASSWORD}' ROLE 'user'")
    ann = Client(served.url, "ann")
    live = served.db.session("admin").subscribe("SELECT * FROM app.notes")

    try:
        assert client.rows("SELECT COUNT(*) AS c FROM system.live") == [{"c": "1"}]
        assert ann.rows("SELECT COUNT(*) AS c FROM system.live") == [{"c": "0"}]
    finally:
        live.close()
        ann.close()


def test_a_token_that_is_over_is_answered_so_that_a_client_logs_in_anew(
    served: Served, client: Client
) -> None:
    served.db.execute("ALTER USER admin SET ROLE system")

    assert client.rows("SELECT CURRENT_ROLE() AS role") == [{"role": "system"}]


def test_without_the_profile_none_of_it_is_there(db: kalamdb.Database) -> None:
    for name in ("live", "sessions", "cluster"):
        with pytest.raises(kalamdb.Error) as refused:
            db.execute(f"SELECT * FROM system.{name}")
        assert refused.value.code == "TABLE_NOT_FOUND"
    with pytest.raises(kalamdb.Error):
        db.execute("SELECT metric_name FROM system.stats")

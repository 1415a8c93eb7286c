"""GET /metrics: who may read it, what it counts, and what it never says."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest

import kalamdb
from kalamdb.errors import InvalidSetting
from tests.server.serving import Served, sql, token_of

METRICS_TOKEN = "0123456789abcdef0123456789abcdef"
Serve = Callable[[str], Served]


@pytest.fixture
def serve(tmp_path) -> Iterator[Serve]:
    """Serves a new database with this value of the setting `metrics`."""
    opened: list[tuple[kalamdb.Database, Served]] = []

    def start(metrics: str) -> Served:
        db = kalamdb.open(tmp_path / "data", metrics=metrics)
        for name, role in (("ann", "user"), ("sam", "service")):
            db.execute(f"CREATE USER {name} WITH ROLE {role}")
        served = Served(db)
        opened.append((db, served))
        return served.__enter__()

    yield start
    for db, served in opened:
        served.__exit__()
        db.close()


def figure(text: str, line: str) -> float:
    found = re.search(rf"^{re.escape(line)} ([0-9.e+]+)$", text, re.MULTILINE)
    assert found, f"{line} is not in\n{text}"
    return float(found[1])


def test_nobody_reads_it_by_default(served: Served) -> None:
    assert served.client().get("/metrics").status_code == 404


def test_it_counts_requests_statements_and_what_the_database_holds(serve: Serve) -> None:
    served = serve("open")
    sql(served, "ann", "SELECT 1; SELECT 2")
    sql(served, "ann", "SELECT nothing_of_the_kind")
    served.client().get("/made/up")

    answer = served.client().get("/metrics")
    text = answer.text

    assert answer.headers["content-type"].startswith("text/plain")
    assert figure(text, 'kalamdb_http_requests_total{method="POST",route="/v1/api/sql",status="200"}') == 1
    assert figure(text, 'kalamdb_http_requests_total{method="POST",route="/v1/api/sql",status="400"}') == 1
    assert figure(text, 'kalamdb_http_requests_total{method="GET",route="none",status="404"}') == 1
    assert figure(text, 'kalamdb_http_request_duration_seconds_count{route="/v1/api/sql"}') == 2
    assert figure(text, 'kalamdb_statements_total{outcome="success"}') == 2
    assert figure(text, 'kalamdb_statements_total{outcome="error"}') == 1
    assert figure(text, "kalamdb_requests_open") == 1
    assert figure(text, "kalamdb_statements_running") == 0
    assert figure(text, "kalamdb_websocket_connections") == 0
    assert figure(text, "kalamdb_websocket_subscriptions") == 0
    assert figure(text, "kalamdb_websocket_messages_total") == 0
    assert figure(text, "kalamdb_websocket_slow_total") == 0
    assert figure(text, "kalamdb_websocket_failed_total") == 0
    assert figure(text, "kalamdb_live_queries") == 0
    assert figure(text, "kalamdb_closing") == 0
    stats = served.db.stats()
    assert figure(text, "kalamdb_database_hot_segments") == stats["hot_segments"]
    assert {f"kalamdb_database_{name}" for name in stats} <= set(re.findall(r"^(\w+) ", text, re.MULTILINE))


def test_no_label_has_a_name_a_text_or_what_a_client_makes_up(serve: Serve) -> None:
    served = serve("open")
    sql(served, "ann", "SELECT 'canary'")
    client = served.client("ann")
    client.request("BREW", "/canary/ann")
    for number in range(50):
        client.get(f"/canary{number}?sql=canary")

    text = served.client().get("/metrics").text

    assert "canary" not in text
    assert "ann" not in re.findall(r'"([^"]*)"', text)
    assert "BREW" not in text
    assert len(re.findall(r"^kalamdb_http_requests_total\{", text, re.MULTILINE)) <= 4


def test_with_a_token_it_is_for_who_has_one(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KALAM_METRICS_TOKEN", METRICS_TOKEN)
    served = serve("token")

    def status(token: str | None) -> int:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return served.client().get("/metrics", headers=headers).status_code

    assert status(None) == 401
    assert status(METRICS_TOKEN) == 200
    assert status(METRICS_TOKEN[:-1]) == 401
    assert status(token_of(served.db, "ann")) == 403
    assert status(token_of(served.db, "sam")) == 200


def test_a_token_that_can_be_guessed_is_refused(
    db: kalamdb.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KALAM_METRICS_TOKEN", "secret")

    with kalamdb.open(":memory:", metrics="token") as guarded, pytest.raises(InvalidSetting, match="32"):
        guarded.asgi()


def test_figures_of_the_server_are_told_when_the_database_is_closed(serve: Serve) -> None:
    served = serve("open")
    served.db.close()

    text = served.client().get("/metrics").text

    assert figure(text, "kalamdb_requests_open") == 1
    assert "kalamdb_database_rows" not in text

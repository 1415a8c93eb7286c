"""Every row carries its owner's canary; whatever a user asks, no other user's canary comes back."""

from __future__ import annotations

import pytest

import kalamdb
from tests.security import canaries
from tests.security.canaries_over_http import over_http


def test_no_query_of_any_shape_shows_a_foreign_canary_or_changes_a_foreign_row(seed: int) -> None:
    figures = canaries.prove(seed, 800)

    assert figures.findings == []
    assert figures.tried == 800
    assert figures.outcomes["answered"] > 100


def test_so_it_is_over_http(seed: int) -> None:
    figures = canaries.prove(seed, 800, over_http)

    assert figures.findings == []
    assert figures.tried == 800
    assert figures.outcomes["answered"] > 100


def test_a_canary_that_gets_out_is_found(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proof can fail: with a way across partitions, it does."""
    from kalamdb.execution import context

    def everybodys_is_mine(self: context.Context, schema: object) -> bytes:
        return canaries.USERS[1].encode() if schema.kind.value == "user" else b""  # type: ignore[attr-defined]

    monkeypatch.setattr(context.Context, "partition", everybodys_is_mine)
    assert canaries.prove(seed, 800).wrong > 0
    assert canaries.prove(seed, 800, over_http).wrong > 0


def test_a_key_that_another_user_has_is_no_oracle(db: kalamdb.Database) -> None:
    db.execute("CREATE NAMESPACE app; CREATE USER TABLE app.mine (id BIGINT PRIMARY KEY, body TEXT)")
    alone, crowded = db.session("newcomer"), db.session("ann")
    crowded.execute("INSERT INTO app.mine VALUES (3, 'hers')")

    assert alone.execute("INSERT INTO app.mine VALUES (3, 'mine')").rowcount == 1
    with pytest.raises(kalamdb.Error, match=r"duplicate key value violates primary key of app.mine: 3"):
        crowded.execute("INSERT INTO app.mine VALUES (3, 'mine')")
    assert db.session("nobody").execute("SHOW STATS FOR TABLE app.mine").fetchone() == ("rows", 0)

"""What completion offers, and that it offers what the user may see, at once."""

from __future__ import annotations

import pytest

import kalamdb
from kalamdb.cli.connection import Target, open_connection
from kalamdb.cli.sql.completion import candidates
from kalamdb.cli.sql.names import Names, read_names

NAMES = Names(
    "app",
    ("app", "default", "system"),
    {
        ("app", "messages"): ("id", "body", "sent_at"),
        ("app", "notes"): ("id", "title"),
        ("system", "users"): (),
    },
)


def offered(text: str) -> list[str]:
    return [one.text for one in candidates(text, NAMES)[1]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SEL", ["SELECT"]),
        ("SELECT 1; INS", ["INSERT"]),
        ("SELECT * FROM me", ["messages"]),
        ("select * from app.n", ["notes"]),
        ("INSERT INTO no", ["notes"]),
        ("SUBSCRIBE TO mess", ["messages"]),
        ("USE a", ["app"]),
        ("SELECT m.b", []),
        ("SELECT * FROM messages m WHERE m.b", ["body"]),
        ("SELECT * FROM app.messages AS x JOIN notes ON x.sen", ["sent_at"]),
        ("UPDATE notes SET ti", ["title"]),
        ("SELECT snow", ["snowflake_id"]),
        ("SELECT 'fro", []),
        ("SELECT 1 -- fro", []),
        ("\\for", ["\\format"]),
        ("\\format nd", ["ndjson"]),
        ("\\d app.me", ["messages"]),
        ("\\x o", ["on", "off"]),
    ],
)
def test_it_offers_what_fits_the_place(text: str, expected: list[str]) -> None:
    found = offered(text)

    assert found[: len(expected)] == expected
    assert bool(found) == bool(expected)


def test_columns_come_before_keywords() -> None:
    assert offered("SELECT * FROM notes WHERE ")[:2] == ["id", "title"]


def test_names_are_what_the_user_may_see(data: str) -> None:
    with kalamdb.open(data) as db:
        db.execute("CREATE NAMESPACE app; CREATE TABLE app.open (id BIGINT PRIMARY KEY, a TEXT)")
        db.execute("CREATE TABLE app.secret (id BIGINT PRIMARY KEY) ACCESS private")
    for user, seen in (("root", True), ("ann", False)):
        connection = open_connection(Target(data, user=user))
        names = read_names(connection)
        connection.close()

        assert names.tables["app", "open"] == ("id", "a")
        assert (("app", "secret") in names.tables) is seen

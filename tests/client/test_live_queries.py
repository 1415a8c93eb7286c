"""Live queries through a session, a Client and an AsyncClient: the same events."""

from __future__ import annotations

from typing import Any

import pytest

from kalamdb import errors

WAIT_S = 20.0


class Listening:
    """A subscription of any kind as `next(timeout_s)`."""

    def __init__(self, way: Any, sql: str, parameters: Any = None, **options: Any) -> None:
        self.behind = way.subscribe(sql, parameters, **options)

    def next(self) -> Any:
        return self.behind.next(WAIT_S)

    def __enter__(self) -> Listening:
        return self

    def __exit__(self, *exception: object) -> None:
        self.behind.close()


def bodies(rows: Any) -> list[str]:
    return [row["body"] for row in rows]


def test_rows_come_first_and_then_every_change(ann: Any) -> None:
    ann.execute("INSERT INTO notes (id, body, n) VALUES (1, 'old', 1)")
    with Listening(ann, "SELECT id, body, n FROM notes WHERE n > ?", [0]) as heard:
        first = heard.next()
        assert (first.kind, bodies(first.rows), first.old_rows) == ("snapshot", ["old"], [])
        assert heard.behind.columns == ("id", "body", "n", "_seq")

        ann.execute("INSERT INTO notes (id, body, n) VALUES (2, 'new', 1), (3, 'hidden', 0)")
        event = heard.next()
        assert (event.kind, bodies(event.rows), event.seq) == ("insert", ["new"], event.rows[0]["_seq"])

        ann.execute("UPDATE notes SET body = 'newer' WHERE id = 2")
        event = heard.next()
        assert (event.kind, bodies(event.rows), bodies(event.old_rows)) == ("update", ["newer"], ["new"])
        assert {**event.rows[0], "body": "new", "_seq": 0} == {**event.old_rows[0], "_seq": 0}

        ann.execute("UPDATE notes SET n = 0 WHERE id = 2")
        event = heard.next()
        assert (event.kind, list(event.rows), bodies(event.old_rows)) == ("delete", [], ["newer"])

        ann.execute("DELETE FROM notes WHERE id = 1")
        event = heard.next()
        assert (event.kind, bodies(event.old_rows)) == ("delete", ["old"])


def test_no_rows_are_a_snapshot_too(ann: Any) -> None:
    with Listening(ann, "SELECT * FROM notes") as heard:
        assert heard.next()[:3] == ("snapshot", [], [])


def test_the_last_rows_alone(ann: Any) -> None:
    ann.executemany("INSERT INTO notes (id, body) VALUES (?, ?)", [(n, f"note {n}") for n in range(10)])

    with Listening(ann, "SELECT * FROM notes", last_rows=2) as heard:
        assert bodies(heard.next().rows) == ["note 8", "note 9"]


def test_a_snapshot_of_many_rows_is_of_one_moment(ann: Any) -> None:
    ann.executemany("INSERT INTO notes (id, body) VALUES (?, ?)", [(n, f"note {n}") for n in range(2500)])

    with Listening(ann, "SELECT * FROM notes") as heard:
        events = [heard.next() for _ in range(3)]
        ann.execute("INSERT INTO notes (id) VALUES (9999)")
        behind = heard.next()

    assert [len(event.rows) for event in events] == [1000, 1000, 500]
    assert len({event.seq for event in events}) == 1
    assert behind.rows[0]["id"] == 9999


def test_it_goes_on_behind_an_event(ann: Any) -> None:
    with Listening(ann, "SELECT * FROM notes") as heard:
        seq = heard.next().seq
    ann.execute("INSERT INTO notes (id, body) VALUES (1, 'missed')")
    ann.execute("UPDATE notes SET body = 'changed' WHERE id = 1")

    with Listening(ann, "SELECT * FROM notes", from_seq=seq) as heard:
        events = [heard.next(), heard.next()]

    assert [(event.kind, bodies(event.rows)) for event in events] == [
        ("insert", ["missed"]),
        ("update", ["changed"]),
    ]


def test_a_place_that_is_not_kept_is_said(ann: Any) -> None:
    with (
        pytest.raises(errors.SubscriptionLagged, match="snapshot"),
        Listening(ann, "SELECT * FROM notes", from_seq=2**62) as heard,
    ):
        heard.next()


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT count(*) FROM notes", errors.UnsupportedLiveQuery),
        ("SELECT * FROM nowhere", errors.UndefinedTable),
        ("SELECT nothing FROM notes", errors.UndefinedColumn),
        ("SELEC", errors.InvalidSyntax),
    ],
)
def test_what_cannot_be_listened_to_is_said_at_once(ann: Any, sql: str, expected: type[errors.Error]) -> None:
    with pytest.raises(expected) as raised:
        ann.subscribe(sql)

    assert type(raised.value) is expected


def test_options_that_make_no_sense_are_refused(ann: Any) -> None:
    for options in ({"last_rows": -1}, {"from_seq": "x"}, {"last_rows": 1, "from_seq": 1}):
        with pytest.raises(errors.InvalidParameter):
            ann.subscribe("SELECT * FROM notes", **options)


def test_only_the_users_own_rows_are_heard(ann: Any, ben: Any) -> None:
    with Listening(ben, "SELECT * FROM notes") as heard:
        heard.next()
        ann.execute("INSERT INTO notes (id) VALUES (1)")
        ben.execute("INSERT INTO notes (id) VALUES (2)")

        assert [row["id"] for row in heard.next().rows] == [2]


def test_values_have_their_types(ann: Any) -> None:
    with Listening(ann, "SELECT id, doc, price, at, raw FROM kinds") as heard:
        heard.next()
        ann.execute(
            "INSERT INTO kinds (id, doc, price, at, raw) VALUES (1, ?, ?, ?, ?)",
            [{"a": 1}, 1, "2026-01-02T03:04:05Z", b"x"],
        )
        row = heard.next().rows[0]

    stored = ann.execute("SELECT id, doc, price, at, raw FROM kinds").fetchone()
    assert tuple(row.values())[:5] == stored


def test_after_its_end_nothing_comes(ann: Any) -> None:
    heard = Listening(ann, "SELECT * FROM notes")
    heard.behind.close()
    heard.behind.close()

    assert heard.next() is None

"""Session.execute_each and execute_at_once: batches statement by statement, and statements that must not wait."""

from __future__ import annotations

import pytest

import kalamdb
from kalamdb.errors import ParametersWithBatch, StatementTimeout, UniqueViolation


@pytest.fixture
def sam(notes: kalamdb.Database) -> kalamdb.Session:
    return notes.session("sam", role="service", namespace="app")


def test_each_statement_of_a_batch_gives_its_result_before_the_next_begins(sam: kalamdb.Session) -> None:
    results = sam.execute_each(
        "INSERT INTO notes VALUES (1, 'a'), (2, 'b'); SELECT id FROM notes; DELETE FROM notes"
    )

    assert next(results).rowcount == 2
    assert sam.execute("SELECT count(*) FROM notes").fetchone() == (2,)
    assert [row for (row,) in next(results)] == [1, 2]
    assert sam.execute("SELECT count(*) FROM notes").fetchone() == (2,)
    assert next(results).rowcount == 2
    assert list(results) == []


def test_what_succeeded_before_a_failure_was_given(sam: kalamdb.Session) -> None:
    given = []

    with pytest.raises(UniqueViolation, match="Statement 2 failed"):
        given.extend(sam.execute_each("INSERT INTO notes VALUES (1, 'a'); INSERT INTO notes VALUES (1, 'b')"))
    results = sam.execute_each("INSERT INTO notes VALUES (2, 'a'); INSERT INTO notes VALUES (2, 'b')")

    assert next(results).message == "Inserted 1 row(s)"
    with pytest.raises(UniqueViolation):
        next(results)


def test_a_batch_that_is_let_go_of_leaves_no_transaction_open(sam: kalamdb.Session) -> None:
    results = sam.execute_each("BEGIN; INSERT INTO notes VALUES (1, 'a'); COMMIT")
    next(results)
    next(results)

    assert sam.in_transaction
    results.close()

    assert not sam.in_transaction
    assert sam.execute("SELECT count(*) FROM notes").fetchone() == (0,)


def test_parameters_with_a_batch_have_a_code_of_their_own(sam: kalamdb.Session) -> None:
    with pytest.raises(ParametersWithBatch) as refused:
        list(sam.execute_each("SELECT 1; SELECT 2", [1]))

    assert refused.value.code == "PARAMS_WITH_BATCH"
    with pytest.raises(ParametersWithBatch):
        sam.execute("SELECT 1; SELECT 2", [1])


def test_a_result_tells_as_whom_it_ran(sam: kalamdb.Session) -> None:
    inside = sam.execute("EXECUTE AS USER 'ann' (SELECT CURRENT_USER())")

    assert inside.user == "ann"
    assert inside.fetchone() == ("ann",)
    assert sam.execute("SELECT CURRENT_USER()").user is None
    assert [
        one.user for one in sam.execute_each("SELECT 1; EXECUTE AS USER 'ann' (SELECT id FROM notes)")
    ] == [None, "ann"]


BUDGET_S = 10.0


def at_once(session: kalamdb.Session, sql: str, *parameters: object) -> kalamdb.Result | None:
    return session.execute_at_once(sql, parameters, within_s=BUDGET_S)


def test_look_ups_and_normal_writes_are_answered_at_once(sam: kalamdb.Session) -> None:
    sam.durability = "normal"
    insert = "INSERT INTO notes VALUES (?, ?)"
    sam.execute(insert, [1, "a"])  # made its plan

    written = at_once(sam, insert, 2, "b")
    found = at_once(sam, "SELECT body FROM notes WHERE id = ?", 2)
    with_literals = at_once(sam, "SELECT body FROM notes WHERE id = 1")

    assert written is not None
    assert written.rowcount == 1
    assert found is not None
    assert found.fetchall() == [("b",)]
    assert with_literals is not None
    assert with_literals.fetchall() == [("a",)]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT body || 'x' FROM notes",
        "INSERT INTO notes VALUES (5, 'never met before')",
        "SELECT 1; SELECT 2",
        "CREATE NAMESPACE other",
        "EXECUTE AS USER 'sam' (SELECT * FROM notes)",
        "BEGIN",
        "",
    ],
)
def test_what_may_wait_is_not_answered_at_once_and_leaves_no_trace(sam: kalamdb.Session, sql: str) -> None:
    sam.durability = "normal"

    assert at_once(sam, sql) is None
    assert not sam.in_transaction
    assert sam.execute("SELECT count(*) FROM notes").fetchone() == (0,)


def test_a_write_that_waits_for_the_disk_is_not_done_at_once(sam: kalamdb.Session) -> None:
    insert = "INSERT INTO notes VALUES (?, ?)"
    sam.execute(insert, [1, "a"])

    assert sam.durability == "full"
    assert at_once(sam, insert, 2, "b") is None
    assert sam.execute("SELECT count(*) FROM notes").fetchone() == (1,)


def test_rows_in_a_storage_are_not_waited_for(notes: kalamdb.Database, sam: kalamdb.Session) -> None:
    select = "SELECT body FROM notes WHERE id = ?"
    sam.execute("INSERT INTO notes VALUES (1, 'a')")
    notes.flush()
    notes.checkpoint()

    cold = at_once(sam, select, 1)
    sam.execute(select, [1])
    warm = at_once(sam, select, 1)

    assert cold is None
    assert warm is not None
    assert warm.fetchall() == [("a",)]


def test_a_long_scan_is_given_up_when_its_time_is_over(sam: kalamdb.Session) -> None:
    import pyarrow as pa

    sam.insert("notes", pa.table({"id": range(60_000), "body": ["x"] * 60_000}))
    select = "SELECT count(*) FROM notes WHERE body = ?"

    assert sam.execute_at_once(select, ["y"], within_s=1e-9) is None
    assert sam.execute(select, ["y"]).fetchone() == (0,)


def test_a_session_has_a_time_limit_of_its_own(notes: kalamdb.Database, sam: kalamdb.Session) -> None:
    import pyarrow as pa

    sam.insert("notes", pa.table({"id": range(60_000), "body": ["x"] * 60_000}))
    sam.statement_timeout_s = 1e-9
    prepared = sam.prepare("SELECT count(*) FROM notes WHERE body = ?")

    with pytest.raises(StatementTimeout):
        sam.execute("SELECT count(*) FROM notes WHERE body = 'y'")
    with pytest.raises(StatementTimeout):
        prepared.execute(["y"])
    with pytest.raises(StatementTimeout):
        sam.execute("SELECT sum(length(body)) FROM notes")
    with pytest.raises(StatementTimeout):
        sam.execute("EXECUTE AS USER 'sam' (SELECT count(*) FROM notes WHERE body = 'y')")
    assert notes.execute("SELECT count(*) FROM app.notes WHERE body = 'y'").fetchone() == (0,)

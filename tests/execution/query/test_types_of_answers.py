"""The types of an answer are those of its rows, also where it has none."""

import uuid

import pyarrow as pa
import pytest

import kalamdb


@pytest.mark.parametrize("where", ["true", "false"])
def test_branches_of_several_types_come_to_one(engine, context, where):
    sql = f"SELECT CASE WHEN id = 0 THEN 0 ELSE 1.5 END AS x FROM notes WHERE {where} UNION ALL SELECT 1 WHERE {where}"

    assert engine.select(context, sql).schema.types == [pa.float64()]


def test_a_column_of_a_table_stays_what_it_is_in_a_subquery():
    one = uuid.UUID("0190a5a0-0000-7000-8000-000000000001")
    with kalamdb.open(":memory:") as db:
        db.execute("CREATE TABLE keys (id BIGINT PRIMARY KEY, key UUID, details JSON)")
        db.execute("INSERT INTO keys VALUES (1, ?, ?)", [one, {"a": 1}])
        found = db.execute(
            "SELECT (SELECT key FROM keys), (SELECT k.details FROM keys AS k JOIN keys AS other USING (id)), "
            "(SELECT key FROM keys WHERE id = 2)"
        )

        assert found.fetchall() == [(one, {"a": 1}, None)]

"""The types of an answer are those of its rows, also where it has none."""

import pyarrow as pa
import pytest


@pytest.mark.parametrize("where", ["true", "false"])
def test_branches_of_several_types_come_to_one(engine, context, where):
    sql = f"SELECT CASE WHEN id = 0 THEN 0 ELSE 1.5 END AS x FROM notes WHERE {where} UNION ALL SELECT 1 WHERE {where}"

    assert engine.select(context, sql).schema.types == [pa.float64()]

"""Our functions, operators, names and system columns inside queries that DataFusion runs."""

import itertools

import pytest

from kalamdb.errors import InvalidSyntax, NotSupportedError, StatementTooLarge, UndefinedFunction
from tests.execution.query.world import NOW


def test_now_is_one_instant_whatever_it_is_called(rows):
    assert rows("SELECT NOW(), CURRENT_TIMESTAMP, current_timestamp()") == [(NOW, NOW, NOW)]


def test_now_takes_part_in_interval_arithmetic(rows):
    assert rows("SELECT id FROM notes WHERE created_at > NOW() - INTERVAL '36 hours' ORDER BY id") == [
        (0,),
        (1,),
    ]


def test_today_is_the_day_of_the_statement(rows):
    assert rows("SELECT CURRENT_DATE, today(), current_time") == [(NOW.date(), NOW.date(), NOW.time())]


def test_the_user_is_a_constant_of_the_statement(rows):
    assert rows("SELECT CURRENT_USER, CURRENT_USER(), CURRENT_ROLE()") == [("alice", "alice", "user")]


def test_a_user_with_quotes_in_the_name_stays_a_value(engine, new_context):
    answer = engine.select(new_context("o'hara\" --"), "SELECT CURRENT_USER()")

    assert answer.batches[0].to_pylist() == [{"current_user": "o'hara\" --"}]


def test_ids_are_new_in_every_row_and_in_every_mention(rows):
    found = rows("SELECT SNOWFLAKE_ID(), SNOWFLAKE_ID(), UUID_V7(), ULID() FROM notes")

    assert len({value for row in found for value in row}) == 12


def test_a_million_snowflake_ids_are_distinct_and_increasing(engine, context):
    answer = engine.select(context, "SELECT SNOWFLAKE_ID() AS i FROM generate_series(1, 1000000)")
    ids = [value for batch in answer.batches for value in batch.column(0).to_numpy()]

    assert len(ids) == 1_000_000
    assert all(a < b for a, b in itertools.pairwise(ids))


def test_a_call_without_a_table_gives_one_id(rows):
    assert len(rows("SELECT SNOWFLAKE_ID()")) == 1


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("body->>'k'", "1"),
        ("body->'t'->>'u'", "v1"),
        ("(body->'t')->>'u'", "v1"),
        ("body->'l'->>0", "10"),
        ("body->'l'->>-1", "20"),
        ("body->'l'", "[10,20]"),
        ("notes.body->>'k'", "1"),
        ("body::text->>'k'", "1"),
        ("upper(body->'t'->>'u')", "V1"),
        ("(body->>'k')::int + 1", 2),
        ("body->>'k' = '1'", True),
        ("NOT (body->>'k') = '1'", False),
        ("body->'t'->>'u' || 'x'", "v1x"),
        ("CASE WHEN body->>'k' = '1' THEN body ELSE '{}' END->>'k'", "1"),
        ("coalesce(body->>'z', body->>'k')", "1"),
        ("body->>(lower('K'))", "1"),
        ("body->>'none'", None),
    ],
)
def test_json_operators_bind_as_documented(rows, expression, value):
    assert rows(f"SELECT {expression} FROM notes WHERE id = 1") == [(value,)]


def test_json_keys_may_be_parameters(rows):
    assert rows("SELECT body->>?, body->'l'->>? FROM notes WHERE body->>? = ?", "k", 1, "k", "2") == [
        ("2", "20")
    ]


@pytest.mark.parametrize("sql", ["SELECT body -> FROM notes", "SELECT -> 'a'", "SELECT (->>'a')"])
def test_a_json_operator_without_operands_is_a_syntax_error(rows, sql):
    with pytest.raises(InvalidSyntax):
        rows(sql)


def test_a_chain_of_json_operators_has_a_limit(rows):
    with pytest.raises(StatementTooLarge, match="100"):
        rows("SELECT body" + "->'a'" * 200 + " FROM notes")


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT NOW(), CURRENT_USER", ["now", "current_user"]),
        ("SELECT COUNT(*), Max(ID) FROM notes", ["count(*)", "max(id)"]),
        ("SELECT id, id, owner FROM notes", ["id", "id", "owner"]),
        ("SELECT a.id, b.id FROM notes a JOIN others b ON a.id = b.id", ["id", "id"]),
        ("SELECT 1, 1 UNION ALL SELECT 2, 2", ["1", "1"]),
        ("SELECT 1::smallint, 1::int", ["1::smallint", "1::int"]),
        ('SELECT id + 1 AS next, owner AS "The Owner", id other FROM notes', ["next", "The Owner", "other"]),
        ("SELECT DISTINCT id + 1 FROM notes ORDER BY 1", ["id + 1"]),
        ("SELECT body->>'k' FROM notes", ["body->>'k'"]),
        ("SELECT *, id FROM notes", ["id", "owner", "body", "created_at", "id"]),
        ("SELECT id FROM (SELECT id, owner, owner FROM notes)", ["id"]),
        ("SELECT first_value(id) OVER w FROM notes WINDOW w AS (ORDER BY id)", ["first_value(id) over w"]),
        ("SELECT id IS DISTINCT FROM 1 FROM notes", ["id is distinct from 1"]),
        ("VALUES (1, 2)", ["column1", "column2"]),
    ],
)
def test_columns_are_called_as_they_were_written(names, sql, expected):
    assert names(sql) == expected


PUBLIC = ["id", "owner", "body", "created_at"]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT * FROM notes", PUBLIC),
        ("SELECT *, _seq FROM notes", [*PUBLIC, "_seq"]),
        ("SELECT * FROM notes WHERE NOT _deleted", PUBLIC),
        ("SELECT n.*, o._seq FROM notes n JOIN others o ON n.id = o.id", [*PUBLIC, "_seq"]),
        ("SELECT * FROM notes n JOIN others o ON n.id = o.id WHERE n._seq > 0", PUBLIC * 2),
        ("SELECT * FROM notes n JOIN others o USING (id) WHERE n._seq > 0", PUBLIC + PUBLIC[1:]),
        ("SELECT * FROM notes n LEFT SEMI JOIN others o ON n.id = o.id WHERE n._seq > 0", PUBLIC),
        ("SELECT * FROM (SELECT id, _seq FROM notes)", ["id", "_seq"]),
        ("WITH x AS (SELECT *, _seq FROM notes) SELECT * FROM x", [*PUBLIC, "_seq"]),
        ("SELECT * REPLACE (upper(owner) AS owner) FROM notes WHERE _seq > 0", PUBLIC),
        ("SELECT * EXCLUDE (owner), _seq FROM notes", ["id", "body", "created_at", "_seq"]),
        ("SELECT * FROM app.notes, (SELECT 1 AS one) x WHERE _seq > 0", [*PUBLIC, "one"]),
    ],
)
def test_a_star_never_means_system_columns(names, sql, expected):
    assert names(sql) == expected


def test_a_star_over_a_natural_join_and_system_columns_is_refused(names):
    with pytest.raises(NotSupportedError, match="USING"):
        names("SELECT * FROM notes NATURAL JOIN others WHERE _seq > 0")


@pytest.mark.parametrize(
    ("sql", "needed"),
    [
        ("SELECT id FROM notes", False),
        ("SELECT count(*) FROM notes", False),
        ("SELECT id * 2 FROM notes", False),
        ("SELECT * FROM notes", True),
        ("SELECT n.* FROM notes n", True),
        ("SELECT DISTINCT ON (id) * FROM notes", True),
        ("SELECT a FROM notes AS x(a, b, c, d)", True),
        ("SELECT id FROM notes NATURAL JOIN others", True),
    ],
)
def test_all_columns_are_asked_for_only_where_they_can_matter(rows, world, sql, needed):
    rows(sql)

    assert ("*" in world.asked[0][3]) is needed


def test_types_that_datafusion_lacks_are_read_as_theirs(rows):
    found = rows(
        "SELECT '{\"a\": 1}'::json->>'a', CAST('x' AS UUID), 'b'::bytes, '2020-01-02'::datetime::date"
    )

    assert found[0][:3] == ("1", "x", b"b")


def test_a_function_registered_later_is_found(rows, functions):
    from kalamdb.functions import scalar_function

    with pytest.raises(UndefinedFunction):
        rows("SELECT twice(2)")
    functions.register(scalar_function("twice", lambda n: n * 2, ["BIGINT"], "BIGINT", "immutable"))

    assert rows("SELECT twice(id), TWICE(21) FROM notes WHERE twice(id) > 2") == [(4, 42)]


def test_a_function_registered_anew_replaces_the_old_one(rows, functions):
    from kalamdb.functions import scalar_function

    functions.register(scalar_function("f", lambda: 1, [], "BIGINT", "volatile"))
    assert rows("SELECT f()") == [(1,)]
    functions.register(scalar_function("f", lambda n: n + 1, ["BIGINT"], "BIGINT", "volatile"))
    assert rows("SELECT f(id) FROM notes ORDER BY id") == [(1,), (2,), (3,)]


def test_a_wrong_number_of_arguments_names_the_signature(rows):
    with pytest.raises(UndefinedFunction, match=r"now\(\)"):
        rows("SELECT NOW(1)")


@pytest.mark.parametrize("name", ["_kalam_now", '"_kalam_snowflake_id"', "_KALAM_json_get_str_t"])
def test_hidden_functions_cannot_be_called(rows, name):
    with pytest.raises(UndefinedFunction):
        rows(f"SELECT {name}(random(), 1)")

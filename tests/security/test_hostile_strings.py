"""Hostile strings survive as values and are refused or quoted as names; no value ever changes a statement."""

import random
import unicodedata

import pytest

import kalamdb
from kalamdb.errors import InvalidName, InvalidValue

VALUES = [
    "",
    " ",
    "'",
    "''",
    '"',
    "\\",
    "\\'",
    "`",
    ";",
    "--",
    "/*",
    "*/",
    "%",
    "_",
    "$1",
    "?",
    "{x}",
    "\x00",
    "a\x00b",
    "\x01\x02",
    "\r\n\t",
    "\x7f",
    "\u200b",
    "\u202e",
    "\ufeff",
    "\uffff",
    "\U0001f600",
    "\U0010ffff",
    "é",
    "e\u0301",
    "NULL",
    "null",
    "TRUE",
    "'; DROP TABLE t; --",
    "' OR '1'='1",
    "') , (2, 'x",
    "1); DELETE FROM t; --",
    "CURRENT_USER()",
    "SNOWFLAKE_ID()",
    "../../etc/passwd",
    "x" * 1_000_000,
    "'" * 10_000,
    "\U0001f600" * 100_000,
]


@pytest.fixture
def table(db):
    db.execute("CREATE SHARED TABLE t (id BIGINT PRIMARY KEY, body TEXT)")
    return db


def shown(value):
    return repr(value[:20])


@pytest.mark.parametrize("value", VALUES, ids=shown)
def test_a_hostile_value_comes_back_as_it_went_in(table, value):
    table.execute("INSERT INTO t VALUES (1, ?)", [value])
    if len(value) <= 100_000:
        literal = value.replace("'", "''")
        table.execute(f"INSERT INTO t VALUES (2, '{literal}')")
        assert table.execute(f"SELECT body = '{literal}' FROM t WHERE id = 2").fetchall() == [(True,)]
        assert table.execute("SELECT body FROM t WHERE id = 2").fetchall() == [(value,)]
    table.execute("UPDATE t SET body = ? WHERE body = ?", [value + "!", value])

    assert table.execute("SELECT body FROM t WHERE id = 1").fetchall() == [(value + "!",)]
    assert table.execute("SELECT id FROM t WHERE body = ?", [value + "!"]).fetchone() == (1,)
    assert table.execute("SELECT ?", [value]).fetchall() == [(value,)]
    assert table.execute("SELECT count(*) FROM system.tables").fetchall() == [(1,)]


@pytest.mark.parametrize("value", ["\ud800", "a\udfffb", "\ud83d"], ids=ascii)  # noqa: PT014 - ruff reads all lone surrogates as one
def test_a_lone_surrogate_is_refused_and_writes_nothing(table, value):
    with pytest.raises(InvalidValue):
        table.execute("INSERT INTO t VALUES (1, ?)", [value])
    with pytest.raises(kalamdb.Error):
        table.execute(f"INSERT INTO t VALUES (1, '{value}')")
    with pytest.raises(kalamdb.Error):
        table.execute("SELECT ?", [value])

    assert table.execute("SELECT count(*) FROM t").fetchall() == [(0,)]


@pytest.mark.parametrize(
    "name", ["", "a b", "1a", "_x", "a;b", "a'b", 'a"b', "../x", "x" * 65, "é", "system", "\x00"]
)
def test_a_hostile_name_makes_no_namespace_and_no_table(db, name):
    quoted = '"' + name.replace('"', '""') + '"'
    for sql in (f"CREATE NAMESPACE {quoted}", f"CREATE TABLE {quoted}.t (id BIGINT PRIMARY KEY)"):
        with pytest.raises(kalamdb.Error):
            db.execute(sql)
    if name != "system":
        with pytest.raises(kalamdb.Error):
            db.execute(f"CREATE TABLE {quoted} (id BIGINT PRIMARY KEY)")

    assert db.execute("SELECT name FROM system.namespaces").fetchall() == [("default",)]
    assert db.execute("SELECT count(*) FROM system.tables").fetchall() == [(0,)]


@pytest.mark.parametrize(
    "name", ["a b", "1a", "a;b", "a'b", 'a"b', "select", "é", "\U0001f600", "A", "x" * 64, "$1", "--"]
)
def test_a_quoted_column_keeps_its_characters(db, name):
    quoted = '"' + name.replace('"', '""') + '"'
    db.execute(f"CREATE TABLE t (id BIGINT PRIMARY KEY, {quoted} TEXT DEFAULT 'd')")
    db.execute(f"INSERT INTO t (id, {quoted}) VALUES (1, 'x')")
    db.execute(f"UPDATE t SET {quoted} = {quoted} || 'y' WHERE {quoted} = 'x'")

    result = db.execute(f"SELECT *, {quoted} AS again FROM t WHERE {quoted} LIKE 'x%'")
    assert result.columns == ("id", name, "again")
    assert result.fetchall() == [(1, "xy", "xy")]
    assert db.execute(f"DELETE FROM t RETURNING {quoted}").columns == (name,)


@pytest.mark.parametrize("name", ["", "_x", "x" * 65, "a\nb", "\x00"])
def test_a_column_name_beyond_the_rules_is_refused(db, name):
    quoted = '"' + name.replace('"', '""') + '"'
    with pytest.raises(kalamdb.Error):
        db.execute(f"CREATE TABLE t (id BIGINT PRIMARY KEY, {quoted} TEXT)")

    assert db.execute("SELECT count(*) FROM system.tables").fetchall() == [(0,)]


def test_users_with_hostile_names_have_partitions_of_their_own(db):
    db.execute("CREATE USER TABLE t (id BIGINT PRIMARY KEY, owner TEXT DEFAULT CURRENT_USER())")
    names = [value for value in VALUES if 1 <= len(value) <= 128 and value.isprintable()]
    for name in names:
        db.session(name).execute("INSERT INTO t (id) VALUES (1)")

    for name in names:
        assert db.session(name).execute("SELECT owner FROM t WHERE owner = CURRENT_USER()").fetchall() == [
            (name,)
        ]
    assert db.execute("SELECT count(*) FROM all_users.default.t").fetchall() == [(len(names),)]
    with pytest.raises(InvalidName):
        db.session("a\x00b")


# Five hundred more, made of pieces of those above.


@pytest.fixture
def strings(seed):
    dice = random.Random(seed)
    pieces = [value for value in VALUES if len(value) <= 40] + [
        "a",
        "SELECT",
        "(",
        ")",
        ",",
        "0x",
        "=",
        "\u0301",
    ]
    made = ("".join(dice.choices(pieces, k=dice.randint(1, 5))) for _ in range(700))
    return list(dict.fromkeys(made))[:500]


def test_five_hundred_hostile_strings_come_back_as_values(table, strings):
    table.executemany("INSERT INTO t VALUES (?, ?)", list(enumerate(strings)))
    for number, value in enumerate(strings):
        literal = value.replace("'", "''")
        table.execute(f"INSERT INTO t VALUES ({-1 - number}, '{literal}')")
        assert table.execute(f"SELECT id FROM t WHERE id < 0 AND body = '{literal}'").fetchall() == [
            (-1 - number,)
        ]
        assert table.execute("SELECT id FROM t WHERE id >= 0 AND body = ?", [value]).fetchall() == [(number,)]

    found = table.execute("SELECT id, body FROM t ORDER BY id").fetchall()
    assert found == [
        (number, strings[number if number >= 0 else -1 - number])
        for number in range(-len(strings), len(strings))
    ]
    assert table.execute("SELECT count(*) FROM system.tables").fetchall() == [(1,)]


def test_five_hundred_hostile_strings_are_names_of_users_or_refused(db, strings):
    db.execute("CREATE USER TABLE t (id BIGINT PRIMARY KEY, owner TEXT DEFAULT CURRENT_USER())")
    taken = []
    for name in strings:
        try:
            session = db.session(name)
        except InvalidName:
            assert not name or any(unicodedata.category(character) == "Cc" for character in name)
            continue
        session.execute("INSERT INTO t (id) VALUES (1)")
        taken.append(name)

    assert len(taken) > 200
    for name in taken:
        assert db.session(name).execute("SELECT id, owner FROM t").fetchall() == [(1, name)]


def test_five_hundred_hostile_strings_are_names_of_columns_or_refused(db, strings):
    made = 0
    for number, name in enumerate(strings):
        quoted = '"' + name.replace('"', '""') + '"'
        with pytest.raises(kalamdb.Error):
            db.execute(f"CREATE TABLE {quoted}.t (id BIGINT PRIMARY KEY)")
        try:
            db.execute(f"CREATE TABLE t{number} (id BIGINT PRIMARY KEY, {quoted} TEXT)")
        except kalamdb.Error:
            continue
        made += 1
        db.execute(f"INSERT INTO t{number} (id, {quoted}) VALUES (1, ?)", [name])
        result = db.execute(f"SELECT {quoted} FROM t{number} WHERE {quoted} = ?", [name])
        assert (result.columns, result.fetchall()) == ((name,), [(name,)])

    assert made > 100
    assert db.execute("SELECT count(*) FROM system.tables").fetchall() == [(made,)]
    assert db.execute("SELECT name FROM system.namespaces").fetchall() == [("default",)]

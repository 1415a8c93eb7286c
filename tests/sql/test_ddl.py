"""Namespaces, tables and views."""

import pytest

from kalamdb.errors import DuplicateObject, InvalidDefinition, InvalidName, InvalidSyntax, UndefinedColumn
from kalamdb.schema import TableKind, TableOptions
from kalamdb.sql.ddl import (
    AddColumn,
    AlterNamespace,
    AlterTable,
    CreateNamespace,
    CreateView,
    DropColumn,
    DropDefault,
    DropNamespace,
    DropNotNull,
    DropTable,
    DropView,
    RenameColumn,
    SetAccess,
    SetDefault,
    SetFlushPolicy,
    SetNotNull,
    SetType,
    UseNamespace,
)
from kalamdb.sql.expressions import Binary, FunctionCall, Literal
from kalamdb.sql.names import TableName
from kalamdb.types import DataType, TypeName

BIGINT = DataType(TypeName.BIGINT)


@pytest.mark.parametrize(
    ("sql", "statement"),
    [
        ("CREATE NAMESPACE app", CreateNamespace("app")),
        ("create namespace if not exists App", CreateNamespace("app", if_not_exists=True)),
        ("DROP NAMESPACE IF EXISTS app CASCADE", DropNamespace("app", if_exists=True, cascade=True)),
        (
            "ALTER NAMESPACE app SET OPTIONS (a = 1, B = 'x', c = TRUE, d = -5)",
            AlterNamespace("app", {"a": 1, "b": "x", "c": True, "d": -5}),
        ),
        ("USE app", UseNamespace("app")),
        ("USE NAMESPACE app", UseNamespace("app")),
        ("DROP TABLE t", DropTable(TableName("t"))),
        ("DROP USER TABLE IF EXISTS app.t", DropTable(TableName("t", "app"), TableKind.USER, if_exists=True)),
        ("CREATE VIEW app.v AS SELECT * FROM t", CreateView(TableName("v", "app"), "SELECT * FROM t")),
        (
            "CREATE OR REPLACE VIEW v AS (VALUES (1))",
            CreateView(TableName("v"), "(VALUES (1))", or_replace=True),
        ),
        ("DROP VIEW IF EXISTS v", DropView(TableName("v"), if_exists=True)),
    ],
)
def test_reads(read, sql, statement):
    assert read(sql) == statement


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("DROP COLUMN c", DropColumn("c")),
        ("DROP c", DropColumn("c")),
        ("RENAME COLUMN a TO b", RenameColumn("a", "b")),
        ("ALTER COLUMN c SET NOT NULL", SetNotNull("c")),
        ("ALTER COLUMN c DROP NOT NULL", DropNotNull("c")),
        ("ALTER COLUMN c SET DEFAULT 1 + 1", SetDefault("c", Binary("+", Literal(1), Literal(1)), "1 + 1")),
        ("ALTER c DROP DEFAULT", DropDefault("c")),
        ("ALTER COLUMN c TYPE BIGINT", SetType("c", BIGINT)),
        ("ALTER COLUMN c SET DATA TYPE BIGINT", SetType("c", BIGINT)),
        ("SET ACCESS Private", SetAccess("private")),
        ("SET FLUSH POLICY ROWS 10 INTERVAL 5 m", SetFlushPolicy(10, 300)),
    ],
)
def test_alters(read, action, expected):
    assert read(f"ALTER TABLE t {action}") == AlterTable(TableName("t"), expected)


def test_adds_a_column_with_its_constraints(read):
    action = read("ALTER TABLE t ADD COLUMN c TEXT NOT NULL DEFAULT 'x'").action

    assert isinstance(action, AddColumn)
    assert action.column.nullable is False
    assert action.column.default_sql == "'x'"


def test_constraints_stand_in_any_order(read):
    one = read("CREATE TABLE t (id BIGINT PRIMARY KEY NOT NULL DEFAULT SNOWFLAKE_ID() COMMENT 'k')")
    other = read("CREATE TABLE t (id BIGINT COMMENT 'k' DEFAULT SNOWFLAKE_ID() NOT NULL PRIMARY KEY)")

    assert one == other
    assert one.columns[0].default == FunctionCall("snowflake_id")
    assert one.columns[0].comment == "k"


def test_the_key_may_stand_behind_the_columns(read):
    table = read("CREATE TABLE t (id BIGINT, body TEXT, PRIMARY KEY (id))")

    assert table.primary_key == "id"
    assert [column.name for column in table.columns] == ["id", "body"]


def test_a_default_keeps_its_text(read):
    table = read("CREATE TABLE t (id BIGINT PRIMARY KEY, n INT DEFAULT (1 +  2) * 3 NOT NULL)")

    assert table.columns[1].default_sql == "(1 +  2) * 3"
    assert table.columns[1].nullable is False


@pytest.mark.parametrize(
    ("written", "strategy"),
    [("AUTO_INCREMENT", ""), ("AUTO_INCREMENT UUID", "uuid"), ("AUTO_INCREMENT SNOWFLAKE", "snowflake")],
)
def test_auto_increment_has_a_strategy(read, written, strategy):
    assert read(f"CREATE TABLE t (id BIGINT {written} PRIMARY KEY)").columns[0].auto_increment == strategy


@pytest.mark.parametrize(
    ("prefix", "suffix", "kind"),
    [
        ("", "", TableKind.SHARED),
        ("SHARED ", "", TableKind.SHARED),
        ("USER ", "", TableKind.USER),
        ("STREAM ", "TTL 60", TableKind.STREAM),
        ("", "WITH (TYPE = 'USER')", TableKind.USER),
        ("USER ", "WITH (TYPE = 'user')", TableKind.USER),
    ],
)
def test_kinds(read, prefix, suffix, kind):
    assert read(f"CREATE {prefix}TABLE t (id BIGINT PRIMARY KEY) {suffix}").kind is kind


@pytest.mark.parametrize(
    ("kind", "options", "expected"),
    [
        ("USER", "STORAGE s3 USE_USER_STORAGE", TableOptions(storage_id="s3", use_user_storage=True)),
        ("USER", "USE_USER_STORAGE FALSE", TableOptions(use_user_storage=False)),
        ("USER", "FLUSH ROWS 10", TableOptions(flush_rows=10)),
        ("USER", "FLUSH POLICY ROWS 10 INTERVAL 60", TableOptions(flush_rows=10, flush_interval_s=60)),
        ("SHARED", "FLUSH INTERVAL 60 FLUSH ROWS 10", TableOptions(flush_rows=10, flush_interval_s=60)),
        ("SHARED", "DELETED_RETENTION 168", TableOptions(deleted_retention_h=168)),
        ("SHARED", "DELETED_RETENTION '7d'", TableOptions(deleted_retention_h=168)),
        (
            "SHARED",
            "ACCESS restricted DELETED_RETENTION 24 h",
            TableOptions(deleted_retention_h=24, access="restricted"),
        ),
        ("STREAM", "TTL '1h' MAX_ROWS 100", TableOptions(ttl_s=3600, max_rows=100)),
        ("STREAM", "WITH (TTL_SECONDS = 60, MAX_ROWS = 5)", TableOptions(ttl_s=60, max_rows=5)),
        (
            "SHARED",
            "WITH (FLUSH_POLICY = 'rows:5,interval:3', COMPRESSION = zstd, STORAGE_ID = 'a')",
            TableOptions(storage_id="a", flush_rows=5, flush_interval_s=3, compression="zstd"),
        ),
        (
            "SHARED",
            "WITH (DELETED_RETENTION_HOURS = 5, ACCESS = 'public')",
            TableOptions(deleted_retention_h=5, access="public"),
        ),
    ],
)
def test_options(read, kind, options, expected):
    assert read(f"CREATE {kind} TABLE t (id BIGINT PRIMARY KEY) {options}").options == expected


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("USER", "ACCESS public", "ACCESS is for SHARED"),
        ("SHARED", "TTL 5", "TTL is for STREAM"),
        ("SHARED", "USE_USER_STORAGE", "USE_USER_STORAGE is for USER"),
        ("STREAM", "TTL 5 FLUSH ROWS 5", "FLUSH ROWS is for USER and SHARED"),
        ("STREAM", "", "needs a TTL"),
        ("SHARED", "ACCESS public ACCESS public", "given twice"),
        ("SHARED", "FLUSH ROWS 5 WITH (FLUSH_POLICY = 'rows:5')", "given twice"),
        ("USER", "WITH (TYPE = 'SHARED')", "contradicts"),
        ("SHARED", "ACCESS secret", "public, private, restricted"),
        ("SHARED", "FLUSH ROWS 0", "from 1 on"),
        ("SHARED", "DELETED_RETENTION '5x'", "duration"),
        ("SHARED", "DELETED_RETENTION '5m'", "whole hours"),
        ("SHARED", "WITH (COLOUR = 'red')", "unknown option"),
        ("SHARED", "WITH (FLUSH_POLICY = 'often')", "cannot be read"),
    ],
)
def test_options_that_do_not_fit(read, kind, options, message):
    with pytest.raises(InvalidDefinition, match=message):
        read(f"CREATE {kind} TABLE t (id BIGINT PRIMARY KEY) {options}")


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ("TABLE_TYPE shared", "CREATE SHARED TABLE"),
        ("OWNER_ID 'bob'", "the session's user"),
        ("WITH (TABLE_TYPE = 'user')", "CREATE USER TABLE"),
        ("WITH (OWNER_ID = 'bob')", "the session's user"),
    ],
)
def test_old_forms_are_refused_with_the_right_one(read, options, hint):
    with pytest.raises(InvalidSyntax, match=hint):
        read(f"CREATE TABLE t (id BIGINT PRIMARY KEY) {options}")


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("CREATE TABLE t (a INT, A TEXT)", DuplicateObject),
        ("CREATE TABLE t (a BIGINT PRIMARY KEY, b BIGINT PRIMARY KEY)", InvalidDefinition),
        ("CREATE TABLE t (a BIGINT PRIMARY KEY, PRIMARY KEY (a))", InvalidDefinition),
        ("CREATE TABLE t (a BIGINT, PRIMARY KEY (b))", UndefinedColumn),
        ("CREATE TABLE t (a BIGINT, b BIGINT, PRIMARY KEY (a, b))", InvalidDefinition),
        ("CREATE TABLE t (a BIGINT NULL PRIMARY KEY)", InvalidDefinition),
        ("CREATE TABLE t (a INT NULL NOT NULL)", InvalidDefinition),
        ("CREATE TABLE t (a INT DEFAULT 1 DEFAULT 1)", InvalidDefinition),
        ("CREATE TABLE t (a BIGINT AUTO_INCREMENT DEFAULT 1)", InvalidDefinition),
        ("CREATE TABLE t (a INT DEFAULT ?)", InvalidDefinition),
        ("CREATE TABLE t (a COLOUR)", InvalidDefinition),
        ("CREATE VIEW v AS SELECT ?", InvalidDefinition),
        ("CREATE TABLE _t (a INT)", InvalidName),
        ("CREATE TABLE t (_seq INT)", InvalidName),
        ('CREATE TABLE "a b" (a INT)', InvalidName),
        ("CREATE NAMESPACE system", InvalidName),
        ("ALTER TABLE t RENAME COLUMN a TO _b", InvalidName),
        ("ALTER TABLE t ADD COLUMN a BIGINT PRIMARY KEY", InvalidDefinition),
    ],
)
def test_statements_that_contradict_themselves(read, sql, error):
    with pytest.raises(error):
        read(sql)


@pytest.mark.parametrize(
    "word",
    [
        "user",
        "table",
        "key",
        "timestamp",
        "date",
        "storage",
        "access",
        "rows",
        "comment",
        "set",
        "values",
        "type",
    ],
)
def test_words_of_the_grammar_are_no_reserved_names(read, word):
    table = read(f"CREATE TABLE {word} (id BIGINT PRIMARY KEY, {word} TEXT)")

    assert table.table.name == word
    assert table.columns[1].name == word
    assert read(f"ALTER TABLE {word} DROP COLUMN {word}").action == DropColumn(word)


def test_the_seeds_tables_are_read(read):
    table = read(
        """CREATE USER TABLE audit_log (
             id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(),
             correlation_id STRING DEFAULT ULID(),  -- Non-PK column with DEFAULT
             action TEXT NOT NULL,
             timestamp TIMESTAMP DEFAULT NOW(),
             created_by STRING DEFAULT CURRENT_USER()  -- Context function
           )"""
    )

    assert [column.default_sql for column in table.columns] == [
        "SNOWFLAKE_ID()",
        "ULID()",
        None,
        "NOW()",
        "CURRENT_USER()",
    ]

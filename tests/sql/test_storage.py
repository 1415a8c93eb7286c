"""Statements about storages, and the old spellings that are none."""

import pytest

from kalamdb.errors import InvalidName, InvalidSyntax
from kalamdb.sql.parser import StatementCache, parse, scan_statement
from kalamdb.sql.storage import (
    AlterStorage,
    CheckStorage,
    CreateStorage,
    DropStorage,
    ShowStorages,
    StorageParts,
)

CANARY = "canary-91c7"


@pytest.mark.parametrize(
    ("sql", "statement"),
    [
        (
            "CREATE STORAGE a TYPE filesystem URI '/srv'",
            CreateStorage("a", StorageParts("filesystem", "/srv")),
        ),
        (
            "create storage if not exists a type S3 uri 's3://b/c' name 'N' description 'D' credentials '{}' "
            "shared_tables_template 's' user_tables_template 'u'",
            CreateStorage("a", StorageParts("s3", "s3://b/c", "N", "D", "{}", "s", "u"), True),
        ),
        ("CREATE STORAGE a URI 'gs://b' TYPE 'gcs'", CreateStorage("a", StorageParts("gcs", "gs://b"))),
        ("CREATE STORAGE 'a' TYPE azure URI 'az://b'", CreateStorage("a", StorageParts("azure", "az://b"))),
        ("ALTER STORAGE a SET URI '/x'", AlterStorage("a", StorageParts(uri="/x"))),
        (
            "ALTER STORAGE a SET NAME 'n', DESCRIPTION '' CREDENTIALS '{}'",
            AlterStorage("a", StorageParts(name="n", description="", credentials="{}")),
        ),
        ("DROP STORAGE a", DropStorage("a")),
        ("DROP STORAGE IF EXISTS a", DropStorage("a", True)),
        ("SHOW STORAGES", ShowStorages()),
        ("STORAGE CHECK a", CheckStorage("a")),
        ("storage check 'a'", CheckStorage("a")),
        (
            "CREATE STORAGE name TYPE s3 URI 's3://bucket'",
            CreateStorage("name", StorageParts("s3", "s3://bucket")),
        ),
    ],
)
def test_reads(read, sql, statement):
    assert read(sql) == statement


@pytest.mark.parametrize(
    "old",
    [
        "BASE_DIRECTORY",
        "base_directory",
        "PATH",
        "LOCATION",
        "BUCKET",
        "DIRECTORY",
        "URL",
        '"base_directory"',
    ],
)
@pytest.mark.parametrize(
    "statement",
    [
        "CREATE STORAGE a TYPE s3 {} 's3://b/c'",
        "CREATE STORAGE a {} '/x' TYPE filesystem",
        "ALTER STORAGE a SET {} '/x'",
    ],
)
def test_an_old_spelling_of_the_place_is_a_syntax_error_that_names_uri(read, statement, old):
    with pytest.raises(
        InvalidSyntax, match=r"syntax error at or near .*; the place of a storage is its URI; write URI"
    ):
        read(statement.format(old))


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("CREATE STORAGE a", "lacks TYPE"),
        ("CREATE STORAGE a TYPE s3", "lacks URI"),
        ("CREATE STORAGE a URI 's3://b'", "lacks TYPE"),
        ("CREATE STORAGE a TYPE s3 URI 's3://b' URI 's3://c'", "URI is said twice"),
        ("CREATE STORAGE a TYPE s3 URI s3", "syntax error"),
        ("ALTER STORAGE a SET TYPE s3", "cannot be changed"),
        ("ALTER STORAGE a SET", "syntax error at end"),
        ("ALTER STORAGE a URI '/x'", "syntax error"),
        ("STORAGE CHECK", "syntax error at end"),
        ("DROP STORAGE a CASCADE", "syntax error"),
    ],
)
def test_what_cannot_be_read_says_why(read, sql, message):
    with pytest.raises(InvalidSyntax, match=message):
        read(sql)


@pytest.mark.parametrize("name", ["'a/b'", "'..'", "_a", '"A"', "'a b'", "'" + "x" * 65 + "'"])
def test_a_storage_has_a_plain_name_in_small_letters(read, name):
    with pytest.raises(InvalidName):
        read(f"CREATE STORAGE {name} TYPE s3 URI 's3://bucket'")


@pytest.mark.parametrize(
    "sql",
    [
        f"CREATE STORAGE a TYPE s3 URI 's3://b' CREDENTIALS '{CANARY}' '{CANARY}'",
        f"CREATE STORAGE a TYPE s3 URI 's3://b' CREDENTIALS = '{CANARY}'",
        f"CREATE STORAGE a TYPE s3 URI 's3://b' CONFIG '{CANARY}'",
        f"CREATE STORAGE a '{CANARY}' TYPE s3",
        f"ALTER STORAGE a SET CREDENTIALS '{CANARY}' CREDENTIALS '{CANARY}'",
        f"ALTER STORAGE a CREDENTIALS '{CANARY}'",
        f"ALTER STORAGE a '{CANARY}'",
    ],
)
def test_a_syntax_error_shows_no_secret(read, sql):
    with pytest.raises(InvalidSyntax) as caught:
        read(sql)

    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    ("sql", "secret"),
    [
        (f"CREATE STORAGE a TYPE s3 URI 's3://b' CREDENTIALS '{CANARY}'", "credentials"),
        (f"ALTER STORAGE a SET CREDENTIALS '{CANARY}'", "credentials"),
        (f"CREATE USER ann WITH PASSWORD '{CANARY}'", "password"),
        (f"ALTER USER ann SET PASSWORD '{CANARY}'", "password"),
    ],
)
def test_a_statement_shows_no_secret_and_is_not_kept(sql, secret):
    cache = StatementCache()
    parsed = parse(scan_statement(sql), sql, cache)

    assert getattr(parsed.statement.parts, secret) == CANARY
    assert CANARY not in repr(parsed.statement)
    assert len(cache) == 0

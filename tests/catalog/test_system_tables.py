"""The system tables: their columns, and what a reader sees in them."""

from __future__ import annotations

import dataclasses
import datetime
import json

import pytest

from kalamdb.catalog import SYSTEM_TABLES, Catalog, View, system_table
from kalamdb.engine.jobs import Job, JobRequest, JobStatus
from kalamdb.schema import Column, TableKind, TableOptions, TableSchema
from kalamdb.settings import NAMES, Settings
from kalamdb.storage import Storage
from kalamdb.types import BIGINT, JSON, TEXT, parse_type, type_of_arrow

AT = datetime.datetime(2026, 11, 22, tzinfo=datetime.UTC)


@dataclasses.dataclass
class Source:
    """A reader who sees all tables but those named `secret`."""

    catalog: Catalog
    settings: Settings = dataclasses.field(default_factory=Settings)

    def statistics(self):
        return {"log_bytes": 2, "entries": 1}

    def visible(self, schema):
        return schema.name != "secret"

    def views(self):
        return self.catalog.views

    def jobs(self):
        request = JobRequest("flush", "app", "notes", {"n": 1}, "boss")
        yield Job("j1", request, JobStatus.FAILED, AT, error="gone", rows=1, started_at=AT, finished_at=AT)
        yield Job("j2", JobRequest("backup"), JobStatus.NEW, AT, attempt=2)

    def live_queries(self):
        return [("an id", "root", "app", "notes", "SELECT * FROM app.notes", None, 0, AT, None)]

    def users(self):
        return [("root", "system", None, "none", "table", None, 0, None, None, AT, AT, None)]

    def audit_log(self):
        return [(1, AT, "root", None, "CREATE TABLE", "app.notes", "success", None, None)]

    def privileges(self):
        return [("root", "ada", "app", "notes", "SELECT")]


@pytest.fixture
def source():
    catalog, _ = Catalog.empty().add_namespace("app", {"note": "x"}, AT)
    catalog, _ = catalog.add_namespace("hidden", {}, AT)
    catalog, _ = catalog.add_storage(
        Storage("s3", "s3", "s3://bucket/data", AT, AT, secret="1.canary.canary")
    )
    columns = (
        Column(1, "id", BIGINT, nullable=False, default="SNOWFLAKE_ID()"),
        Column(2, "body", parse_type("varchar", (10,)), comment="what was said"),
    )

    def add(namespace, name, kind, options):
        nonlocal catalog
        schema = TableSchema(
            catalog.next_table_id, namespace, name, kind, columns, "id", options, 1, AT, AT, 3
        )
        catalog, _ = catalog.add_table(schema)
        return schema

    add("hidden", "secret", TableKind.SHARED, TableOptions(access="private"))
    add("app", "events", TableKind.STREAM, TableOptions(ttl_s=60, max_rows=5))
    add("app", "notes", TableKind.SHARED, TableOptions())
    messages = add(
        "app", "messages", TableKind.USER, TableOptions(storage_id="s3", flush_rows=9, flush_interval_s=3)
    )
    catalog, _ = catalog.replace_table(dataclasses.replace(messages, version=2, columns=columns[:1]))
    catalog, _ = catalog.add_view(View("app", "v", "SELECT 1", AT))
    return Source(catalog)


def rows(source, name, *columns):
    found = system_table(*name.split("."), source)
    return [tuple(row[column] for column in columns) for row in found.to_pylist()]


@pytest.mark.parametrize("name", list(SYSTEM_TABLES))
def test_every_system_table_has_the_schema_it_announces(source, name):
    found = system_table(*name.split("."), source)

    found.validate(full=True)
    assert found.schema.equals(SYSTEM_TABLES[name], check_metadata=True)
    for field in found.schema:
        assert field.nullable or found.column(field.name).null_count == 0


def test_columns_are_those_of_the_documentation():
    expected = {
        "system.users": "user_id role email auth_type storage_mode storage_id failed_logins locked_until "
        "last_login_at created_at updated_at deleted_at",
        "system.namespaces": "namespace_id name options table_count created_at",
        "system.tables": "namespace_id table_name table_type storage_id access flush_policy ttl_seconds "
        "schema_version options created_at updated_at",
        "system.columns": "namespace_id table_name column_name ordinal data_type nullable primary_key "
        "default_expression comment",
        "system.storages": "storage_id storage_type name description uri credentials shared_tables_template "
        "user_tables_template created_at updated_at",
        "system.jobs": "job_id job_type status namespace_id table_name parameters result error rows bytes created_at "
        "started_at finished_at",
        "system.live_queries": "live_id user_id namespace_id table_name query options changes created_at "
        "last_change_at",
        "system.audit_log": "audit_id at actor subject action target outcome address details",
    }

    for name, columns in expected.items():
        assert SYSTEM_TABLES[name].names == columns.split()
    assert type_of_arrow(SYSTEM_TABLES["system.tables"].field("options")) == JSON
    assert type_of_arrow(SYSTEM_TABLES["system.users"].field("role")) == TEXT


def test_tables_show_kind_storage_access_and_options(source):
    columns = (
        "table_name",
        "table_type",
        "storage_id",
        "access",
        "flush_policy",
        "ttl_seconds",
        "schema_version",
    )

    assert rows(source, "system.tables", *columns) == [
        ("events", "stream", None, None, None, 60, 1),
        ("messages", "user", "s3", None, "rows:9,interval:3", None, 2),
        ("notes", "shared", "local", "public", None, None, 1),
        ("v", "view", None, None, None, None, None),
    ]
    assert json.loads(rows(source, "system.tables", "options")[0][0]) == {"MAX_ROWS": 5}


def test_columns_follow_the_order_of_the_table_and_show_the_default_as_written(source):
    columns = (
        "column_name",
        "ordinal",
        "data_type",
        "nullable",
        "primary_key",
        "default_expression",
        "comment",
    )

    assert [
        row[1:] for row in rows(source, "system.columns", "table_name", *columns) if row[0] == "notes"
    ] == [
        ("id", 1, "BIGINT", False, True, "SNOWFLAKE_ID()", None),
        ("body", 2, "VARCHAR(10)", True, False, None, "what was said"),
    ]
    columns = ("column_name", "ordinal_position", "column_default", "is_nullable", "data_type")
    assert [
        row[1:]
        for row in rows(source, "information_schema.columns", "table_name", *columns)
        if row[0] == "notes"
    ] == [
        ("id", 1, "SNOWFLAKE_ID()", "NO", "BIGINT"),
        ("body", 2, None, "YES", "VARCHAR(10)"),
    ]


def test_what_the_reader_may_not_know_is_nowhere(source):
    shown = [system_table(*name.split("."), source).to_pylist() for name in SYSTEM_TABLES]

    assert "secret" not in str(shown)
    assert "hidden" not in str(shown)


def test_namespaces_count_the_tables_that_the_reader_knows(source):
    assert rows(source, "system.namespaces", "name", "table_count", "options") == [
        ("app", 3, '{"note":"x"}'),
        ("default", 0, "{}"),
    ]
    assert [name for (name,) in rows(source, "information_schema.schemata", "schema_name")] == [
        "app", "default", "information_schema", "system",
    ]  # fmt: skip


def test_jobs_show_what_was_asked_for_and_what_became_of_it(source):
    (failed, new) = system_table("system", "jobs", source).to_pylist()

    assert failed == {
        "job_id": "j1", "job_type": "flush", "status": "failed", "namespace_id": "app", "table_name": "notes",
        "parameters": '{"n":1}', "result": None, "error": "gone", "rows": 1, "bytes": None,
        "created_at": AT, "started_at": AT, "finished_at": AT,
    }  # fmt: skip
    assert (new["namespace_id"], new["table_name"], new["parameters"], new["started_at"]) == (
        None,
        None,
        "{}",
        None,
    )


def test_schemas_show_every_version(source):
    found = [
        (version, len(json.loads(columns)))
        for name, version, columns in rows(
            source, "system.schemas", "table_name", "schema_version", "columns"
        )
        if name == "messages"
    ]

    assert found == [(1, 2), (2, 1)]


def test_views_stand_among_the_tables(source):
    assert rows(source, "information_schema.tables", "table_name", "table_type") == [
        ("events", "BASE TABLE"),
        ("messages", "BASE TABLE"),
        ("notes", "BASE TABLE"),
        ("v", "VIEW"),
    ]


def test_settings_stats_users_and_storages(source):
    assert [name for (name,) in rows(source, "system.settings", "name")] == list(NAMES)
    assert rows(source, "system.stats", "name", "value") == [("entries", 1), ("log_bytes", 2)]
    assert rows(source, "system.users", "user_id", "role") == [("root", "system")]
    assert rows(source, "system.storages", "storage_id", "storage_type", "uri", "credentials") == [
        ("local", "filesystem", "cold", None),
        ("s3", "s3", "s3://bucket/data", "***"),
    ]


def test_a_name_that_is_no_system_table_is_none(source):
    assert system_table("system", "nonsense", source) is None
    assert system_table("app", "notes", source) is None

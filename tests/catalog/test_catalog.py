"""The catalog: changes, what they write, and reading it back."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalamdb.catalog import RESERVED, Catalog, View, load_catalog
from kalamdb.catalog.definition import DEFINITION_FORMAT, decode_definition, encode_definition
from kalamdb.catalog.reserved import FIRST_TABLE_ID, TABLES_ID
from kalamdb.catalog.storage_definition import decode_storage, encode_storage
from kalamdb.errors import (
    Corruption,
    DependentObjects,
    DuplicateObject,
    InvalidDefinition,
    UndefinedNamespace,
    UndefinedObject,
    UndefinedTable,
    UnknownFormat,
)
from kalamdb.schema import Column, TableKind, TableOptions, TableSchema
from kalamdb.storage import Storage
from kalamdb.types import BIGINT, TEXT, DataType, TypeName

AT = datetime.datetime(2026, 11, 22, 1, 2, 3, 456789, tzinfo=datetime.UTC)


def table(catalog, name="t", namespace="default", **changes):
    """The next table of a catalog: `id BIGINT PRIMARY KEY, body TEXT`."""
    columns = (Column(1, "id", BIGINT, nullable=False), Column(2, "body", TEXT))
    schema = TableSchema(
        catalog.next_table_id, namespace, name, TableKind.USER, columns, "id", TableOptions(), 1, AT, AT, 3
    )
    return dataclasses.replace(schema, **changes)


class Stored:
    """The rows of the reserved tables, as the engine would hold them, by their keys."""

    def __init__(self):
        self.rows = {schema.table_id: {} for schema in RESERVED}

    def write(self, changes):
        for change in changes:
            rows, key = self.rows[change.table_id], change.values[0]
            assert (change.action == "insert") == (key not in rows)
            if change.action == "delete":
                assert rows.pop(key) == change.values
            else:
                rows[key] = change.values

    def load(self):
        return load_catalog({table_id: list(rows.values()) for table_id, rows in self.rows.items()})


def test_a_new_database_has_the_namespace_default():
    assert list(Catalog.empty().namespaces) == ["default"]
    assert load_catalog({}) == Catalog.empty()


def test_reserved_tables_have_ids_of_their_own_and_a_key_first():
    assert len({schema.table_id for schema in RESERVED}) == len(RESERVED)
    assert all(schema.table_id < FIRST_TABLE_ID for schema in RESERVED)
    assert all(schema.primary_key == schema.columns[0].name for schema in RESERVED)


def test_everything_is_there_after_a_reload():
    stored, catalog = Stored(), Catalog.empty()

    def change(answer):
        stored.write(answer[1])
        assert stored.load() == answer[0]
        return answer[0]

    catalog = change(catalog.add_namespace("app", {"a": 1, "price": decimal.Decimal("1.5")}, AT))
    catalog = change(catalog.set_namespace_options("app", {"a": None, "b": "x"}))
    catalog = change(catalog.set_namespace_options("default", {"c": True}))
    catalog = change(catalog.set_namespace_options("default", {"c": False}))
    catalog = change(catalog.add_table(table(catalog, namespace="app")))
    catalog = change(catalog.add_table(table(catalog, "u", "app")))
    first = catalog.table("app", "t")
    catalog = change(catalog.replace_table(dataclasses.replace(first, version=2, columns=first.columns[:1])))
    catalog = change(catalog.add_view(View("app", "v", "SELECT 1", AT)))
    catalog = change(catalog.add_view(View("app", "v", "SELECT 2", AT), replacing=True))

    assert catalog.namespaces["app"].options == {"b": "x", "price": 1.5}
    assert [schema.name for schema in catalog.tables_in("app")] == ["t", "u"]
    assert [schema.version for schema in catalog.history[first.table_id]] == [1, 2]
    assert catalog.table_by_id(first.table_id).version == 2
    assert catalog.view("app", "v").sql == "SELECT 2"

    catalog = change(catalog.drop_view("app", "v"))
    catalog = change(catalog.drop_table("app", "u", AT))
    catalog = change(catalog.drop_namespace("app", AT, cascade=True))
    assert catalog.tables == catalog.views == catalog.history == {}


def test_the_id_of_a_dropped_table_is_never_used_again():
    stored, catalog = Stored(), Catalog.empty()
    for _ in range(3):
        before = catalog.next_table_id
        catalog, changes = catalog.add_table(table(catalog))
        stored.write(changes)
        catalog, changes = catalog.drop_table("default", "t", AT)
        stored.write(changes)
        catalog = stored.load()
        assert catalog.next_table_id == before + 1


def test_a_change_leaves_the_old_catalog_as_it_was():
    old = Catalog.empty()
    old.add_namespace("app", {}, AT)
    old.add_table(table(old))

    assert old == Catalog.empty()
    with pytest.raises(TypeError):
        old.namespaces["x"] = None


def test_names_are_taken_once_by_tables_and_views_together():
    catalog, _ = Catalog.empty().add_table(table(Catalog.empty()))
    with pytest.raises(DuplicateObject, match=r'relation "default\.t" already exists'):
        catalog.add_table(table(catalog))
    with pytest.raises(DuplicateObject):
        catalog.add_view(View("default", "t", "SELECT 1", AT), replacing=True)
    with pytest.raises(DuplicateObject, match=r'namespace "default" already exists'):
        catalog.add_namespace("default", {}, AT)


def test_what_does_not_exist_is_named():
    catalog = Catalog.empty()
    with pytest.raises(
        UndefinedNamespace, match=r'"x" does not exist; create it first with CREATE NAMESPACE x'
    ):
        catalog.add_table(table(catalog, namespace="x"))
    with pytest.raises(UndefinedTable, match=r'relation "default\.t" does not exist'):
        catalog.drop_table("default", "t", AT)
    with pytest.raises(UndefinedTable, match=r'view "default\.v" does not exist'):
        catalog.drop_view("default", "v")


def test_a_namespace_that_holds_something_is_not_dropped_without_cascade():
    catalog, _ = Catalog.empty().add_namespace("app", {}, AT)
    catalog, _ = catalog.add_table(table(catalog, namespace="app"))

    with pytest.raises(DependentObjects, match=r"app\.t"):
        catalog.drop_namespace("app", AT)
    with pytest.raises(InvalidDefinition, match="always exists"):
        catalog.drop_namespace("default", AT, cascade=True)


def test_column_ids_versions_and_table_ids_only_go_on():
    catalog, _ = Catalog.empty().add_table(table(Catalog.empty()))
    schema = catalog.table("default", "t")
    for wrong in (
        {"version": 1},
        {"version": 3},
        {"version": 2, "next_column_id": 2},
        {"version": 2, "table_id": 7},
    ):
        with pytest.raises(ValueError, match=r"default\.t"):
            catalog.replace_table(dataclasses.replace(schema, **wrong))
    with pytest.raises(ValueError, match="not the next"):
        catalog.add_table(table(catalog, "u", table_id=100))


# Definitions

VALUES = {
    TypeName.BOOLEAN: st.booleans(),
    TypeName.SMALLINT: st.integers(-(2**15), 2**15 - 1),
    TypeName.INT: st.integers(-(2**31), 2**31 - 1),
    TypeName.BIGINT: st.integers(-(2**63), 2**63 - 1),
    TypeName.FLOAT: st.floats(width=32, allow_nan=False),
    TypeName.DOUBLE: st.floats(allow_nan=False),
    TypeName.DECIMAL: st.decimals(min_value=-999, max_value=999, places=2),
    TypeName.TEXT: st.text(st.characters(codec="utf-8")),
    TypeName.BYTES: st.binary(),
    TypeName.TIMESTAMP: st.datetimes(timezones=st.just(datetime.UTC)),
    TypeName.DATE: st.dates(),
    TypeName.TIME: st.times(),
    TypeName.UUID: st.uuids(),
    TypeName.JSON: st.just('{"a": 1}'),
}
names = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=64)


@st.composite
def columns(draw):
    name = draw(st.sampled_from(TypeName))
    if name is TypeName.DECIMAL:
        type_ = DataType(name, precision=5, scale=2)
    elif name is TypeName.TEXT and draw(st.booleans()):
        type_ = DataType(name, length=draw(st.integers(1, 1000)))
    else:
        type_ = DataType(name)
    return Column(
        id=draw(st.integers(1, 1000)),
        name=draw(names),
        type=type_,
        nullable=draw(st.booleans()),
        default=draw(st.none() | st.just("NOW()") | names),
        missing=draw(st.none() | VALUES[name]),
        comment=draw(st.none() | names),
        added_in=draw(st.integers(1, 99)),
    )


options = st.builds(
    TableOptions,
    storage_id=st.none() | names,
    use_user_storage=st.none() | st.booleans(),
    flush_rows=st.none() | st.integers(0, 2**40),
    access=st.sampled_from([None, "public", "private"]),
    ttl_s=st.none() | st.integers(1, 10**9),
)


@given(st.lists(columns(), min_size=1, max_size=8), options, st.sampled_from(TableKind), names)
def test_a_definition_reads_back_as_it_was_written(columns, options, kind, name):
    schema = table(Catalog.empty(), name, columns=tuple(columns), options=options, kind=kind)
    back = decode_definition(encode_definition(schema))

    assert back == schema
    assert [type(column.missing) for column in back.columns] == [type(column.missing) for column in columns]


def test_a_newer_format_is_refused_with_both_versions():
    newer = json.dumps({"format": DEFINITION_FORMAT + 1})

    with pytest.raises(UnknownFormat, match=f"format {DEFINITION_FORMAT + 1}.*up to {DEFINITION_FORMAT}"):
        decode_definition(newer)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "x"}', '{"format": 1, "table_id": 1}'])
def test_a_damaged_definition_is_corruption(text):
    with pytest.raises(Corruption):
        decode_definition(text)
    with pytest.raises(Corruption):
        load_catalog({TABLES_ID: [("1.1", 1, 1, text)]})


def test_a_row_that_holds_another_tables_definition_is_corruption():
    with pytest.raises(Corruption, match=r"100\.1"):
        load_catalog({TABLES_ID: [("7.1", 7, 1, encode_definition(table(Catalog.empty())))]})


def storage(storage_id="archive", uri="s3://bucket/x", **changes):
    return dataclasses.replace(Storage(storage_id, "s3", uri, AT, AT), **changes)


def test_a_new_database_has_the_storage_local():
    assert list(Catalog.empty().storages) == ["local"]
    assert Catalog.empty().require_storage("local").is_local


def test_storages_are_there_after_a_reload():
    stored, catalog = Stored(), Catalog.empty()

    def change(answer):
        stored.write(answer[1])
        assert stored.load() == answer[0]
        return answer[0]

    catalog = change(catalog.add_storage(storage(secret="1.a.b", name="n", description="d")))
    catalog = change(catalog.add_storage(storage("other", "s3://other")))
    catalog = change(catalog.replace_storage(storage("other", "s3://another", updated_at=AT)))
    local = dataclasses.replace(catalog.require_storage("local"), description="here")
    catalog = change(catalog.replace_storage(local))
    catalog = change(catalog.replace_storage(dataclasses.replace(local, description=None)))
    catalog = change(catalog.drop_storage("other"))
    assert sorted(catalog.storages) == ["archive", "local"]
    assert stored.load().implicit_local is False


def test_a_storage_in_use_stays_where_it_is():
    catalog, _ = Catalog.empty().add_storage(storage())
    used = TableOptions(storage_id="archive")
    for number in range(22):
        catalog, _ = catalog.add_table(table(catalog, f"t{number:02}", options=used))
    catalog, _ = catalog.add_table(
        table(catalog, "stream", kind=TableKind.STREAM, options=TableOptions(ttl_s=1))
    )

    assert [one.name for one in catalog.tables_of_storage("local")] == []
    with pytest.raises(
        DependentObjects, match=r'cannot drop storage "archive": 22 tables refer to it \(default.t00'
    ) as caught:
        catalog.drop_storage("archive")
    assert str(caught.value).endswith("default.t19, and 2 more)")
    for change in (
        {"uri": "s3://bucket/y"},
        {
            "shared_tables_template": "x/{namespace}/{tableName}",
            "user_tables_template": "y/{namespace}/{tableName}/{userId}",
        },
        {"user_tables_template": "{namespace}/{tableName}/{shard}/{userId}"},
    ):
        with pytest.raises(DependentObjects, match="cannot change the"):
            catalog.replace_storage(storage(**change))
    catalog.replace_storage(storage(name="words may change", secret="1.a.b"))


def test_a_table_needs_its_storage():
    catalog = Catalog.empty()

    with pytest.raises(UndefinedObject, match='storage "archive" does not exist'):
        catalog.add_table(table(catalog, options=TableOptions(storage_id="archive")))


def test_what_storages_cannot_be_is_refused():
    catalog, _ = Catalog.empty().add_storage(storage())

    with pytest.raises(DuplicateObject, match="already exists"):
        catalog.add_storage(storage())
    with pytest.raises(UndefinedObject, match="does not exist"):
        catalog.drop_storage("none")
    with pytest.raises(UndefinedObject, match="does not exist"):
        catalog.replace_storage(storage("none", "s3://elsewhere"))
    with pytest.raises(InvalidDefinition, match="always exists"):
        catalog.drop_storage("local")
    with pytest.raises(InvalidDefinition, match="lies in that of"):
        catalog.add_storage(storage("inner", "s3://bucket/x/y"))


def test_a_storage_of_a_newer_format_is_refused_by_name():
    text = encode_storage(storage())

    assert decode_storage("archive", text) == storage()
    with pytest.raises(
        UnknownFormat, match='"archive" has format 2, and this version of kalamdb reads up to 1'
    ):
        decode_storage("archive", text.replace('"format":1', '"format":2'))
    for broken in ("", "[]", "{}", '{"format":1}', text.replace('"uri"', '"place"')):
        with pytest.raises(Corruption, match="cannot be read"):
            decode_storage("archive", broken)

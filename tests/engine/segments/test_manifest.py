"""The manifest: written, read strictly, replaced one generation at a time."""

from __future__ import annotations

import contextlib
import dataclasses
import json

import orjson
import pytest

from kalamdb.engine.segments import Manifest, Owner, commit, leftovers, load, load_previous
from kalamdb.engine.segments.checksums import checksum
from kalamdb.engine.segments.manifest import Found, decode_manifest, encode_manifest
from kalamdb.errors import Corruption, InternalError, StorageInUse, UnknownFormat
from kalamdb.types import TEXT
from tests.engine.segments.memory_storage import Conflict, MemoryStorage
from tests.engine.segments.samples import FOLDER, OWNER, rows, table, wide_table, written

PATH, PREVIOUS = f"{FOLDER}/manifest.json", f"{FOLDER}/manifest.previous.json"


@pytest.fixture
def storage():
    return MemoryStorage()


def manifest(segments=(), owner=OWNER, **changes):
    made = Manifest(owner, "app", "notes", "alice", 1, 1, 99, tuple(segments))
    return dataclasses.replace(made, **changes)


def sealed(content):
    """A manifest of this content with the right checksum."""
    text = orjson.dumps(content)[:-1] + b',"checksum":"'
    return text + checksum(text).hex().encode() + b'"}\n'


def opened(content):
    """What a manifest says, without its checksum."""
    found = orjson.loads(content)
    del found["checksum"]
    return found


# ---- the file ----------------------------------------------------------------------------------------------


def test_a_manifest_comes_back_as_it_was(storage):
    schema = wide_table(TEXT)
    segments = written(storage, schema, [rows(schema, 900)], segment_bytes_max=100_000, row_group_rows=100)
    made = manifest(segments)

    assert len(segments) > 1
    assert decode_manifest(PATH, encode_manifest(made)) == made
    assert decode_manifest(PATH, encode_manifest(manifest(user_id=None))) == manifest(user_id=None)


def test_a_manifest_is_one_line_of_json_with_the_documented_keys(storage):
    schema = table()
    (segment,) = written(storage, schema, [rows(schema, 50)])
    content = encode_manifest(manifest([segment]))

    found = json.loads(content)

    assert content.count(b"\n") == 1
    assert list(found) == [
        *(
            "format_version",
            "database_id",
            "table_id",
            "namespace_id",
            "table_name",
            "user_id",
            "schema_version",
        ),
        *("generation", "watermark", "segments", "checksum"),
    ]
    (told,) = found["segments"]
    assert {
        "file",
        "rows",
        "bytes",
        "columns",
        "min_seq",
        "max_seq",
        "schema_version",
        "checksum",
    } <= told.keys()
    assert told["columns"]["1"] == {
        "min": segment.columns[1].min,
        "max": segment.columns[1].max,
        "nulls": 0,
    }
    assert told["bytes"] == len(storage.files[f"{FOLDER}/{segment.file}"])


def test_a_newer_format_is_refused_with_both_versions_named():
    content = sealed({**opened(encode_manifest(manifest())), "format_version": 7, "invented": {}})

    with pytest.raises(UnknownFormat, match=r"manifest\.json has format 7.*reads up to 1;"):
        decode_manifest(PATH, content)


def damaged(content):
    """What a manifest must not say, each with the right checksum."""
    found = opened(content)

    def changed(**changes):
        return {**found, **changes}

    def segment(**changes):
        return changed(segments=[{**found["segments"][0], **changes}])

    yield "an unknown key", changed(more=1)
    yield "a missing key", {key: value for key, value in found.items() if key != "watermark"}
    yield "a null generation", changed(generation=None)
    yield "generation 0", changed(generation=0)
    yield "a boolean table", changed(table_id=True)
    yield "a number for a name", changed(table_name=5)
    yield "no list", changed(segments={})
    yield "a segment that is none", changed(segments=[3])
    yield "a segment twice", changed(segments=found["segments"] * 2)
    yield "an unknown key of a segment", segment(more=1)
    for name in (
        "../segment-1.parquet",
        "segment-.parquet",
        "segment-1.parquet/..",
        "x.parquet",
        "segment-٣.parquet",
    ):
        yield name, segment(file=name)
    yield "no rows", segment(rows=0)
    yield "more tombstones than rows", segment(tombstones=10**6)
    yield "a tail outside", segment(tail_offset=10**9)
    yield "an index behind the tail", segment(index_offset=found["segments"][0]["tail_offset"] + 1)
    yield "a short checksum", segment(checksum="00")
    yield "no base64", segment(min_key="*")
    yield "half a filter", segment(key_filters=["AAAA"])
    yield "a filter too many", segment(key_filters=[])
    yield "columns by name", segment(columns={"id": {"min": None, "max": None, "nulls": 0}})
    yield "a list as a bound", segment(columns={"1": {"min": [], "max": None, "nulls": 0}})
    yield "a fraction", segment(min_seq=1.5)
    yield "sequence numbers turned round", segment(min_seq=2**62)


def test_a_manifest_that_says_what_it_must_not_is_corruption(storage):
    schema = table()
    content = encode_manifest(manifest(written(storage, schema, [rows(schema, 50)])))

    taken = []
    for what, found in damaged(content):
        with contextlib.suppress(Corruption):
            decode_manifest(PATH, sealed(found))
            taken.append(what)

    assert not taken
    decode_manifest(PATH, sealed(opened(content)))


@pytest.mark.parametrize("content", [b"", b"{}", b"\n", b'"checksum":"', b"\x00" * 200, b"[" * 100_000])
def test_what_is_no_manifest_is_corruption(content):
    with pytest.raises(Corruption, match=r"manifest\.json"):
        decode_manifest(PATH, content)


def test_nested_nonsense_with_a_right_checksum_is_corruption():
    text = b'{"a":' + b"[" * 100_000 + b',"checksum":"'

    with pytest.raises(Corruption, match=r"manifest\.json"):
        decode_manifest(PATH, text + checksum(text).hex().encode() + b'"}\n')


# ---- generations -------------------------------------------------------------------------------------------


def test_commits_follow_each_other_and_keep_the_generation_before(storage):
    first = commit(storage, FOLDER, load(storage, FOLDER, OWNER), manifest())
    second = commit(storage, FOLDER, first, first.manifest.following((), schema_version=2, watermark=120))
    third = commit(storage, FOLDER, second, second.manifest.following((), schema_version=2))

    found = load(storage, FOLDER, OWNER)

    assert found == third
    assert (found.manifest.generation, found.manifest.watermark, found.manifest.schema_version) == (3, 120, 2)
    assert load_previous(storage, FOLDER) == second.manifest
    assert set(storage.files) == {PATH, PREVIOUS}


def test_a_commit_behind_another_is_refused_and_changes_nothing(storage):
    first = commit(storage, FOLDER, Found(), manifest())
    commit(storage, FOLDER, first, first.manifest.following((), schema_version=1))
    there = storage.files[PATH]

    for late in (Found(), first):
        new = manifest(generation=2 if late.manifest else 1, table_name="late")
        with pytest.raises(Conflict):
            commit(storage, FOLDER, late, new)

    assert storage.files[PATH] == there
    with pytest.raises(InternalError, match="generation 5"):
        commit(storage, FOLDER, first, manifest(generation=5))


def test_a_commit_can_leave_nothing_of_the_generation_before(storage):
    found = commit(storage, FOLDER, Found(), manifest())
    found = commit(storage, FOLDER, found, found.manifest.following((), schema_version=1))
    assert PREVIOUS in storage.files

    commit(storage, FOLDER, found, found.manifest.following((), schema_version=1), keep_previous=False)

    assert set(storage.files) == {PATH}


def test_a_manifest_that_was_lost_is_corruption(storage):
    found = commit(storage, FOLDER, Found(), manifest())
    commit(storage, FOLDER, found, found.manifest.following((), schema_version=1))
    storage.delete(PATH)

    with pytest.raises(Corruption, match=r"manifest\.json is missing.*repair"):
        load(storage, FOLDER, OWNER)


def test_a_dropped_tables_manifest_is_a_leftover_and_is_replaced(storage):
    before = Owner(OWNER.database_id, 77)
    found = commit(storage, FOLDER, Found(), manifest(owner=before))
    commit(storage, FOLDER, found, found.manifest.following((), schema_version=1))

    found = load(storage, FOLDER, OWNER)
    assert found.manifest is None
    assert found.leftover.owner == before
    committed = commit(storage, FOLDER, found, manifest())

    assert load(storage, FOLDER, OWNER) == committed
    assert set(storage.files) == {PATH}


def test_a_dropped_tables_previous_manifest_alone_counts_for_nothing(storage):
    found = commit(storage, FOLDER, Found(), manifest(owner=Owner(OWNER.database_id, 77)))
    commit(storage, FOLDER, found, found.manifest.following((), schema_version=1))
    storage.delete(PATH)

    assert load(storage, FOLDER, OWNER) == Found()


def test_another_databases_manifest_counts_for_nothing_and_is_not_replaced(storage):
    other = Owner("f0000000-0000-4000-8000-000000000000", OWNER.table_id)
    commit(storage, FOLDER, Found(), manifest(owner=other))
    there = dict(storage.files)

    found = load(storage, FOLDER, OWNER)

    assert found.manifest is found.leftover is None
    with pytest.raises(StorageInUse, match=r"f0000000.*a place of its own"):
        commit(storage, FOLDER, found, manifest())
    assert storage.files == there
    assert leftovers(storage, FOLDER, OWNER) == []


def test_what_no_generation_names_is_a_leftover(storage):
    schema = table()
    batch = rows(schema, 20)
    one, two, three = (written(storage, schema, [batch], first=number)[0] for number in (1, 2, 3))
    storage.write(f"{FOLDER}/below/segment-9.parquet", b"another partition's")
    found = commit(storage, FOLDER, Found(), manifest([one]))

    assert leftovers(storage, FOLDER, OWNER) == [f"{FOLDER}/{two.file}", f"{FOLDER}/{three.file}"]
    found = commit(storage, FOLDER, found, found.manifest.following((two,), schema_version=1))
    assert leftovers(storage, FOLDER, OWNER) == [f"{FOLDER}/{three.file}"]
    commit(storage, FOLDER, found, found.manifest.following((two, three), schema_version=1))
    assert leftovers(storage, FOLDER, OWNER) == [f"{FOLDER}/{one.file}"]
    assert leftovers(storage, FOLDER, Owner(OWNER.database_id, 500)) == [
        f"{FOLDER}/{segment.file}" for segment in (one, two, three)
    ]

"""A storage in a bucket, over a real HTTP server and a proxy that breaks requests."""

from __future__ import annotations

import pickle
import sys
import traceback

import pytest

from kalamdb.errors import NotSupportedError, StorageConflict, StorageOutcomeUnknown, StorageUnavailable
from kalamdb.storage.credentials import parse_credentials
from kalamdb.storage.object_store import ObjectStoreBackend, _reason
from kalamdb.storage.uri import parse_uri
from tests.storage.s3_server import (
    ACCESS_KEY,
    FAULTS,
    SECRET_KEY,
    credentials,
    object_names,
    unfinished_uploads,
)

SEGMENT = "app/notes/alice/segment-2.parquet"
OLD = "app/notes/alice/segment-1.parquet"
MANIFEST = "app/notes/alice/manifest.json"
STEPS = 6


def commit(store: ObjectStoreBackend) -> None:
    """What a compaction asks of its storage, in six requests when nothing breaks."""
    found = store.read_tagged(MANIFEST)
    assert found is not None
    if found[0] == b"old":
        assert store.read(OLD) == b"rows" * 100
        store.write(SEGMENT, b"more" * 100)
        store.replace(MANIFEST, b"new", found[1])
    assert store.read_range(SEGMENT, 4, 4) == b"more"
    store.delete(OLD)


@pytest.fixture
def before(store, proxy):
    """The storage with one segment and a manifest that names it; requests are counted from here."""
    store.write(OLD, b"rows" * 100)
    store.replace(MANIFEST, b"old", None)
    proxy.forgive()
    return store


def test_the_steps_are_as_many_requests(before, proxy):
    commit(before)

    assert [method for method, _ in proxy.requests] == ["GET", "GET", "PUT", "PUT", "GET", "DELETE"]
    assert len(proxy.requests) == STEPS


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("at", range(1, STEPS + 1))
def test_one_broken_request_is_got_over(before, proxy, s3, bucket, fault, at):
    proxy.fail(fault, at=at)
    commit(before)

    assert proxy.broken == 1
    assert object_names(s3, bucket) == [f"data/{MANIFEST}", f"data/{SEGMENT}"]
    assert before.read(MANIFEST) == b"new"


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault not in ("timeout", "truncated")])
@pytest.mark.parametrize("at", range(1, STEPS + 1))
def test_a_storage_that_stays_broken_is_told_and_loses_nothing(before, proxy, s3, bucket, fault, at):
    proxy.fail(fault, at=at, times=1000)

    with pytest.raises(StorageUnavailable) as caught:
        commit(before)

    shown = "".join(traceback.format_exception(caught.value))
    assert ACCESS_KEY not in shown
    assert SECRET_KEY not in shown
    assert 'storage "s" is unavailable' in str(caught.value)
    proxy.forgive()
    manifest = before.read(MANIFEST)
    assert manifest in (b"old", b"new")
    if at < 4:
        assert manifest == b"old"
    if manifest == b"old":
        assert before.read(OLD) == b"rows" * 100
    commit(before)
    assert object_names(s3, bucket) == [f"data/{MANIFEST}", f"data/{SEGMENT}"]


def test_a_silent_storage_is_given_up(before, proxy):
    proxy.fail("timeout", times=1000)
    quick = ObjectStoreBackend(
        "s", parse_uri("s3", "s3://some-bucket"), _given(proxy.url), request_timeout_s=0.2
    )

    with pytest.raises(StorageUnavailable, match="did not answer in time"):
        quick.read("x")
    with pytest.raises(StorageOutcomeUnknown, match="read it again"):
        quick.replace("x", b"", None)


def _given(url, **changed):
    return parse_credentials(credentials(url, **changed), "s3")


@pytest.mark.parametrize("fault", ["stored_not_acknowledged", "stored_then_503"])
def test_a_replace_that_was_stored_and_not_acknowledged_is_a_success_of_its_writer_alone(
    before, proxy, fault
):
    tag = before.read_tagged(MANIFEST)[1]
    proxy.fail(fault, matches=lambda method, path: method == "PUT")
    mine = before.replace(MANIFEST, b"mine", tag)

    assert before.read_tagged(MANIFEST) == (b"mine", mine)
    with pytest.raises(StorageConflict):
        before.replace(MANIFEST, b"theirs", tag)


@pytest.mark.parametrize("fault", ["500", "503", "429", "timeout", "reset"])
def test_a_replace_that_failed_while_another_won_is_a_conflict(before, proxy, fault):
    tag = before.read_tagged(MANIFEST)[1]
    before.replace(MANIFEST, b"theirs", tag)
    proxy.forgive()
    proxy.fail(fault)

    with pytest.raises(StorageConflict):
        before.replace(MANIFEST, b"mine", tag)
    assert before.read(MANIFEST) == b"theirs"


def test_a_replace_whose_outcome_cannot_be_read_says_so(before, proxy):
    tag = before.read_tagged(MANIFEST)[1]
    proxy.forgive()
    proxy.fail("stored_not_acknowledged")
    proxy.fail("503", at=2, times=1000)

    with pytest.raises(StorageOutcomeUnknown, match="read it again"):
        before.replace(MANIFEST, b"mine", tag)
    proxy.forgive()
    assert before.read(MANIFEST) == b"mine"


@pytest.mark.parametrize("fault", ["500", "reset", "truncated"])
@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_large_file_is_read_in_parts_whatever_breaks(store, proxy, fault, at):
    data = bytes(range(256)) * (36 << 10)
    store.write(SEGMENT, data)
    proxy.forgive()
    proxy.fail(fault, at=at)

    assert store.read(SEGMENT) == data
    assert store.read_range(SEGMENT, 5, len(data)) == data[5:]
    assert proxy.broken == 1


@pytest.mark.parametrize("fault", ["500", "reset", "stored_not_acknowledged", "stored_then_503"])
@pytest.mark.parametrize("at", [1, 2, 3, 4])
def test_a_large_file_is_there_whole_or_not_at_all(store, proxy, s3, bucket, fault, at):
    data = b"x" * (9 << 20)
    proxy.fail(fault, at=at, times=1000)
    with pytest.raises(StorageUnavailable):
        store.write(SEGMENT, data)
    proxy.forgive()

    found = store.read_tagged(SEGMENT)
    assert found is None or found[0] == data
    store.write(SEGMENT, data)
    assert store.read(SEGMENT) == data


def test_a_large_file_that_failed_in_the_middle_leaves_no_parts(store, proxy, s3, bucket):
    proxy.fail("500", times=1000, matches=lambda method, path: "partNumber" in path)
    with pytest.raises(StorageUnavailable):
        store.write(SEGMENT, b"x" * (9 << 20))

    assert unfinished_uploads(s3, bucket) == 0
    assert object_names(s3, bucket) == []


def test_a_listing_of_many_pages_is_whole_whatever_breaks_in_it(store, proxy, monkeypatch):
    monkeypatch.setattr("kalamdb.storage.object_store._LISTED_AT_ONCE", 5)
    names = [f"app/{number:02}" for number in range(12)]
    for name in names:
        store.write(name, b"")

    for fault in ("500", "reset", "truncated"):
        proxy.forgive()
        proxy.fail(fault, at=2)
        assert sorted(store.list("app")) == names
        assert proxy.broken == 1


def test_a_storage_that_ignores_conditions_does_not_pass_its_check(store, monkeypatch):
    real = store._obstore.put

    class Careless:
        def __getattr__(self, name):
            return getattr(real_module, name)

        def put(self, store, path, data, **options):
            return real(store, path, data, **{**options, "mode": "overwrite"})

    real_module = store._obstore
    monkeypatch.setattr(store, "_obstore", Careless())

    with pytest.raises(StorageUnavailable, match="does not honour conditional writes"):
        store.probe()
    assert list(store.list()) == []


def test_a_bucket_that_does_not_exist_is_no_missing_file(proxy):
    store = ObjectStoreBackend("s", parse_uri("s3", "s3://there-is-none"), _given(proxy.url))

    for use in (store.read, store.read_tagged, store.size, store.probe):
        with pytest.raises(StorageUnavailable):
            use(*(["x"] if use != store.probe else []))


def test_no_server_at_all_is_told(bucket):
    store = ObjectStoreBackend("s", parse_uri("s3", f"s3://{bucket}"), _given("http://127.0.0.1:1"))

    with pytest.raises(StorageUnavailable, match="the connection failed"):
        store.read("x")


def test_without_its_library_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "obstore", None)

    with pytest.raises(NotSupportedError, match=r"pip install kalamdb\[cloud\]"):
        ObjectStoreBackend("s", parse_uri("s3", "s3://bucket"), None)


def test_the_other_kinds_are_opened_without_a_request():
    google = ObjectStoreBackend(
        "g", parse_uri("gcs", "gs://bucket/x"), parse_credentials('{"session_token": "t"}', "gcs")
    )
    azure = ObjectStoreBackend(
        "a",
        parse_uri("azure", "az://container/x"),
        parse_credentials('{"access_key_id": "account", "secret_access_key": "a2V5"}', "azure"),
    )

    assert (google.storage_id, azure.storage_id) == ("g", "a")
    with pytest.raises(StorageUnavailable, match="its credentials or URI were not understood"):
        ObjectStoreBackend(
            "a",
            parse_uri("azure", "az://container"),
            parse_credentials('{"secret_access_key": "canary"}', "azure"),
        )


def test_nothing_of_what_obstore_says_is_passed_on():
    class GenericError(Exception):
        """As obstore's."""

    answer = GenericError(
        f"Generic S3 error: status: 403 Forbidden <Error><Code>InvalidAccessKeyId</Code><AWSAccessKeyId>{ACCESS_KEY}"
        f"</AWSAccessKeyId><StringToSign>{SECRET_KEY}</StringToSign></Error>"
    )

    assert _reason(answer) == "its credentials were refused (status 403, InvalidAccessKeyId)"


def test_a_backend_shows_and_pickles_no_credential(store):
    assert SECRET_KEY not in repr(store)
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(store)

"""A storage in a directory: on a disk, and in memory where it can fail and lose power."""

from __future__ import annotations

import errno
import threading
from pathlib import Path

import pytest

from kalamcore.system import FileSystem
from kalamdb.errors import Error, SegmentMissing, StorageOutcomeUnknown, StorageUnavailable
from kalamdb.storage.backend import require_files
from kalamdb.storage.filesystem import FilesystemBackend

PATH = "app/notes/alice/segment-1.parquet"
MANIFEST = "app/notes/alice/manifest.json"


@pytest.fixture(params=["posix", "memory"])
def backend(request: pytest.FixtureRequest, tmp_path: Path, memory: FileSystem) -> FilesystemBackend:
    if request.param == "posix":
        return FilesystemBackend("s", FileSystem.posix(), str(tmp_path / "store"))
    return FilesystemBackend("s", memory, "/db/cold")


def test_a_directory_that_is_not_there_is_no_missing_file(backend):
    with pytest.raises(StorageUnavailable, match="directory is not there") as caught:
        backend.read(PATH)

    assert not isinstance(caught.value, SegmentMissing)
    assert backend.read_tagged(PATH) is None
    assert list(backend.list()) == []


def test_an_empty_directory_is_a_disk_that_is_not_mounted(backend):
    backend.write(PATH, b"x")
    backend.delete(PATH)
    for read in (backend.read, backend.size):
        with pytest.raises(StorageUnavailable, match="directory is empty, as if its disk were not mounted"):
            read(PATH)
    with pytest.raises(StorageUnavailable, match=r'storage "s" .* nothing is there'):
        require_files(backend)

    backend.write("app/notes/bob/x", b"")
    require_files(backend)
    with pytest.raises(SegmentMissing):
        backend.read(PATH)


def test_a_file_in_the_place_of_the_directory_is_named_as_the_reason(tmp_path):
    (tmp_path / "store").write_bytes(b"")
    backend = FilesystemBackend("s", FileSystem.posix(), str(tmp_path / "store"))

    with pytest.raises(StorageUnavailable, match="a file stands where a directory is to be"):
        backend.write(PATH, b"x")


def test_a_deleted_file_takes_its_empty_folders_along(backend):
    backend.write("app/notes/alice/x", b"")
    backend.write("app/notes/bob/x", b"")
    backend.delete("app/notes/alice/x")

    assert list(backend.list()) == ["app/notes/bob/x"]
    assert backend._files.list(f"{backend._root}/app/notes") == ["bob"]


def test_a_folder_may_go_while_another_thread_writes_into_it(backend):
    failures: list[BaseException] = []

    def work(name: str) -> None:
        try:
            for _ in range(200):
                backend.write(f"app/{name}", b"")
                backend.delete(f"app/{name}")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []


def test_a_symbolic_link_is_not_followed(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x").write_bytes(b"secret")
    root = tmp_path / "store"
    (root / "app").mkdir(parents=True)
    (root / "app" / "linked").symlink_to(outside)
    (root / "app" / "x").symlink_to(outside / "x")
    backend = FilesystemBackend("s", FileSystem.posix(), str(root))

    for use in (
        lambda: backend.read("app/linked/x"),
        lambda: backend.write("app/linked/y", b""),
        lambda: backend.replace("app/linked/x", b"", None),
        lambda: backend.delete("app/linked/x"),
        lambda: list(backend.list("app/linked/x")),
        lambda: backend.read("app/x"),
    ):
        with pytest.raises(StorageUnavailable):
            use()
    assert list(backend.list()) == []
    backend.write("app/x", b"ours")
    assert (outside / "x").read_bytes() == b"secret"
    assert sorted(path.name for path in outside.iterdir()) == ["x"]


@pytest.mark.parametrize(
    "operation", ["open", "write", "sync", "close", "rename", "sync_directory", "make_directory"]
)
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_a_failing_disk_is_told_without_a_path_of_the_machine(memory, operation, code):
    backend = FilesystemBackend("s", memory, "/secret/place")
    memory.make_directory("/secret")
    memory.fail([operation], at=1, errno=code, sticky=True)

    with pytest.raises(StorageUnavailable, match='storage "s" is unavailable: cannot ') as caught:
        backend.write(PATH, b"x")
    assert "/secret" not in str(caught.value)
    memory.forgive()
    backend.write(PATH, b"x")
    assert backend.read(PATH) == b"x"


@pytest.mark.parametrize("operation", ["open", "read", "write", "sync", "close", "rename", "sync_directory"])
@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_replace_that_fails_leaves_the_old_version_or_says_it_does_not_know(memory, operation, at):
    backend = FilesystemBackend("s", memory, "/db/cold")
    tag = backend.replace(MANIFEST, b"old", None)
    memory.fail([operation], at=at)

    try:
        backend.replace(MANIFEST, b"new", tag)
        known = {b"new"}
    except StorageOutcomeUnknown:
        known = {b"old", b"new"}
    except StorageUnavailable:
        known = {b"old"}
    memory.forgive()
    assert backend.read(MANIFEST) in known
    for loss in ("none", "all", "subset", "zeros"):
        after = FilesystemBackend("s", memory.crash(loss, 1), "/db/cold")
        assert after.read(MANIFEST) in known


@pytest.mark.parametrize("operation", ["open", "read", "write", "sync", "close", "rename", "sync_directory"])
@pytest.mark.parametrize("at", range(1, 7))
def test_of_many_replaced_those_that_fail_stand_or_are_not_known(memory, operation, at):
    backend = FilesystemBackend("s", memory, "/db/cold")
    paths = [f"app/notes/{user}/manifest.json" for user in ("alice", "bob", "carol")]
    tags = backend.replace_all([(path, b"old", None) for path in paths])
    memory.fail([operation], at=at)

    answers = backend.replace_all([(path, b"new", tag) for path, tag in zip(paths, tags, strict=True)])
    memory.forgive()
    assert sum(isinstance(answer, Error) for answer in answers) <= 1
    for path, answer in zip(paths, answers, strict=True):
        known = {b"new"}
        if isinstance(answer, StorageOutcomeUnknown):
            known = {b"old", b"new"}
        elif isinstance(answer, Error):
            known = {b"old"}
        assert backend.read(path) in known
        for loss in ("none", "all", "subset", "zeros"):
            after = FilesystemBackend("s", memory.crash(loss, 1), "/db/cold")
            assert after.read(path) in known


def test_of_many_files_those_behind_a_link_are_refused(tmp_path):
    (tmp_path / "store" / "app").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "store" / "app" / "linked").symlink_to(tmp_path / "outside")
    backend = FilesystemBackend("s", FileSystem.posix(), str(tmp_path / "store"))

    refused, written = backend.write_all([("app/linked/x", b"x"), ("app/plain/x", b"x")])
    assert isinstance(refused, StorageUnavailable)
    assert written is None
    refused, read = backend.read_tagged_all(["app/linked/x", "app/plain/x"])
    assert isinstance(refused, StorageUnavailable)
    assert read[0] == b"x"
    assert list((tmp_path / "outside").iterdir()) == []


@pytest.mark.parametrize("loss", ["none", "all", "subset", "reorder", "torn_512", "zeros"])
def test_what_was_written_survives_a_power_cut(memory, loss):
    backend = FilesystemBackend("s", memory, "/db/cold")
    backend.write(PATH, b"segment")
    tag = backend.replace(MANIFEST, b"one", None)
    backend.replace(MANIFEST, b"two", tag)
    backend.write("app/notes/bob/x", b"")
    backend.delete("app/notes/bob/x")
    after = FilesystemBackend("s", memory.crash(loss, 7), "/db/cold")

    assert after.read(PATH) == b"segment"
    assert after.read(MANIFEST) == b"two"
    assert "app/notes/bob/x" not in list(after.list())

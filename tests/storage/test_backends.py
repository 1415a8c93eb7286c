"""What every storage does, in a directory, in memory and in a bucket alike."""

from __future__ import annotations

import threading

import pytest

from kalamdb.errors import SegmentMissing, StorageConflict

PATH = "app/notes/alice/segment-1.parquet"
MANIFEST = "app/notes/alice/manifest.json"


def test_what_is_written_is_read_in_whole_and_in_part(backend):
    backend.write(PATH, memoryview(b"0123456789"))

    assert backend.read(PATH) == b"0123456789"
    assert backend.read_range(PATH, 3, 4) == b"3456"
    assert backend.read_range(PATH, 8, 10) == b"89"
    assert backend.read_range(PATH, 20, 10) == b""
    assert backend.size(PATH) == 10


def test_a_file_that_is_not_there_is_missing_and_may_be_deleted(backend):
    backend.write(PATH, b"x")

    for read in (backend.read, backend.size, lambda path: backend.read_range(path, 0, 1)):
        with pytest.raises(SegmentMissing, match=r'storage "s" has no file app/notes/bob/x'):
            read("app/notes/bob/x")
    assert backend.read_tagged("app/notes/bob/x") is None
    backend.delete("app/notes/bob/x")


def test_a_version_is_replaced_by_whoever_saw_it(backend):
    first = backend.replace(MANIFEST, b"one", None)

    assert backend.read_tagged(MANIFEST) == (b"one", first)
    with pytest.raises(StorageConflict, match="replaced by somebody else"):
        backend.replace(MANIFEST, b"two", None)
    second = backend.replace(MANIFEST, b"two", first)
    with pytest.raises(StorageConflict):
        backend.replace(MANIFEST, b"three", first)
    assert backend.read_tagged(MANIFEST) == (b"two", second)


def test_many_files_are_written_read_and_replaced_each_by_its_own_condition(backend):
    folders = [f"app/notes/user{number}" for number in range(12)]
    assert backend.write_all([(f"{folder}/segment-1.parquet", folder.encode()) for folder in folders]) == [
        None
    ] * len(folders)
    tags = backend.replace_all([(f"{folder}/manifest.json", b"one", None) for folder in folders])
    backend.replace(f"{folders[3]}/manifest.json", b"somebody else's", tags[3])
    answers = backend.replace_all(
        [(f"{folder}/manifest.json", b"two", tag) for folder, tag in zip(folders, tags, strict=True)]
    )

    assert backend.read(f"{folders[5]}/segment-1.parquet") == folders[5].encode()
    assert [isinstance(answer, StorageConflict) for answer in answers] == [
        number == 3 for number in range(12)
    ]
    read = backend.read_tagged_all([f"{folder}/manifest.json" for folder in folders] + ["app/none"])
    assert [one and one[0] for one in read] == [b"two"] * 3 + [b"somebody else's"] + [b"two"] * 8 + [None]
    assert [one[1] for one in read[4:12]] == answers[4:]
    assert backend.write_all([]) == backend.replace_all([]) == backend.read_tagged_all([]) == []


def test_of_many_who_replace_at_once_one_succeeds(backend):
    tag = backend.replace(MANIFEST, b"first", None)
    won: list[int] = []

    def replace(number: int) -> None:
        try:
            backend.replace(MANIFEST, str(number).encode(), tag)
            won.append(number)
        except StorageConflict:
            pass

    threads = [threading.Thread(target=replace, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(won) == 1
    assert backend.read(MANIFEST) == str(won[0]).encode()


def test_a_listing_tells_every_file_below_a_folder(backend):
    for path in ("a/b/x", "a/b/y", "a/z", "top"):
        backend.write(path, b"")

    assert sorted(backend.list()) == ["a/b/x", "a/b/y", "a/z", "top"]
    assert sorted(backend.list("a/b")) == ["a/b/x", "a/b/y"]
    assert list(backend.list("nowhere")) == []


def test_a_probe_leaves_nothing(backend):
    backend.probe()

    assert list(backend.list()) == []


@pytest.mark.parametrize(
    "path",
    ["", "/x", "x/", "a//b", "..", "a/../b", ".", "a/./b", "a\\b", "a\0b", "é", "x" * 256, "a/" * 600 + "a"],
)
def test_a_path_that_is_none_within_a_storage_is_refused(backend, path):
    for use in (backend.read, backend.size, backend.delete, backend.read_tagged):
        with pytest.raises(ValueError, match="within a storage"):
            use(path)
    with pytest.raises(ValueError, match="within a storage"):
        backend.write(path, b"")
    with pytest.raises(ValueError, match="within a storage"):
        backend.replace(path, b"", None)


def test_names_keep_every_character_that_a_path_may_have(backend):
    names = ["app/n/%41lice/x", "app/n/a%20b/x", "app/n/x~0123/x", "user=%C3%A9/a+b&c;d,e (f)/x#?*'!$@"]
    for number, name in enumerate(names):
        backend.write(name, str(number).encode())

    assert sorted(backend.list()) == sorted(names)
    assert [backend.read(name) for name in names] == [b"0", b"1", b"2", b"3"]


def test_a_large_file_is_written_whole(backend):
    data = bytes(range(256)) * (40 << 10)
    backend.write(PATH, memoryview(data))

    assert backend.size(PATH) == len(data)
    assert backend.read(PATH) == data
    assert backend.read_range(PATH, 9 << 20, 300) == data[9 << 20 :][:300]


def test_an_empty_file_is_a_file(backend):
    backend.write(PATH, b"")

    assert (backend.size(PATH), backend.read(PATH), backend.read_range(PATH, 0, 10)) == (0, b"", b"")
    assert backend.read_tagged(PATH)[0] == b""

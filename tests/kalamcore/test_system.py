"""Files, clock and randomness: the machine as the core sees it, and the one that tests break."""

import errno
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kalamcore.errors import IoError, LockedError
from kalamcore.system import Clock, FileSystem, RandomSource


@pytest.fixture(params=["posix", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[FileSystem, str]:
    """A file system and an empty directory in it."""
    if request.param == "posix":
        return FileSystem.posix(), str(tmp_path)
    files = FileSystem.memory()
    files.make_directory("data")
    return files, "data"


def test_a_file_written_is_read_listed_renamed_and_removed(place: tuple[FileSystem, str]) -> None:
    files, root = place
    files.make_directory(f"{root}/a/b")
    files.write_atomic(f"{root}/a/b/x", b"first")
    files.write_atomic(f"{root}/a/b/x", b"second\0")
    files.rename(f"{root}/a/b/x", f"{root}/a/y")

    assert files.read_file(f"{root}/a/y") == b"second\0"
    assert files.list(f"{root}/a") == ["b", "y"]
    assert not files.exists(f"{root}/a/b/x")

    files.remove(f"{root}/a/y")
    files.remove(f"{root}/a/b")
    assert files.list(f"{root}/a") == []


def test_a_part_of_a_file_is_read_by_position(place: tuple[FileSystem, str]) -> None:
    files, root = place
    files.write_atomic(f"{root}/x", b"0123456789")

    assert files.file_size(f"{root}/x") == 10
    assert files.read_range(f"{root}/x", 2, 3) == b"234"
    assert files.read_range(f"{root}/x", 8, 1 << 40) == b"89"
    assert files.read_range(f"{root}/x", 10, 1) == b""
    assert files.read_range(f"{root}/x", 1 << 62, 1) == b""
    with pytest.raises(IoError) as caught:
        files.file_size(f"{root}/y")
    assert caught.value.errno == errno.ENOENT


def test_a_link_is_known_for_one_wherever_it_leads(tmp_path: Path) -> None:
    files = FileSystem.posix()
    (tmp_path / "real").mkdir()
    (tmp_path / "to_directory").symlink_to(tmp_path / "real")
    (tmp_path / "to_nothing").symlink_to(tmp_path / "nothing")
    (tmp_path / "file").write_bytes(b"")

    assert files.is_link(str(tmp_path / "to_directory"))
    assert files.is_link(str(tmp_path / "to_nothing"))
    assert not files.is_link(str(tmp_path / "real"))
    assert not files.is_link(str(tmp_path / "file"))
    assert not files.is_link(str(tmp_path / "nothing"))


def test_an_error_names_its_errno_operation_and_path(place: tuple[FileSystem, str]) -> None:
    files, root = place

    with pytest.raises(IoError, match="nothing-here") as caught:
        files.read_file(f"{root}/nothing-here")

    assert caught.value.errno == errno.ENOENT
    assert caught.value.operation == "open"
    assert caught.value.path == f"{root}/nothing-here"


def test_a_directory_is_made_once_and_again_without_an_error(place: tuple[FileSystem, str]) -> None:
    files, root = place
    files.make_directory(f"{root}/a/b/c/")
    files.make_directory(f"{root}/a//b/c")

    assert files.list(f"{root}/a/b") == ["c"]


def test_a_second_lock_is_refused_with_the_owner_until_the_first_is_released(
    place: tuple[FileSystem, str],
) -> None:
    files, root = place
    lock = files.lock_directory(root)

    with pytest.raises(LockedError) as caught:
        files.lock_directory(f"{root}/.")
    assert caught.value.owner == os.getpid()

    lock.release()
    files.lock_directory(root).release()


def test_a_lock_is_refused_by_another_path_to_the_same_directory(tmp_path: Path) -> None:
    files = FileSystem.posix()
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "data")
    lock = files.lock_directory(str(tmp_path / "data"))

    with pytest.raises(LockedError):
        files.lock_directory(str(tmp_path / "link"))
    lock.release()


def test_a_lock_is_refused_to_another_process_and_free_once_its_owner_is_killed(tmp_path: Path) -> None:
    files = FileSystem.posix()
    program = (
        "import sys, time\n"
        "from kalamcore.system import FileSystem\n"
        "lock = FileSystem.posix().lock_directory(sys.argv[1])\n"
        "print('locked', flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"locked\n"

        with pytest.raises(LockedError, match=str(owner.pid)) as caught:
            files.lock_directory(str(tmp_path))
        assert caught.value.owner == owner.pid

        (tmp_path / "LOCK").unlink()
        with pytest.raises(LockedError) as caught:
            files.lock_directory(str(tmp_path))
        assert caught.value.owner == 0

        owner.kill()
        owner.wait()
        files.lock_directory(str(tmp_path)).release()


def test_a_forked_child_has_no_lock_and_does_not_keep_its_parents(tmp_path: Path) -> None:
    files = FileSystem.posix()
    lock = files.lock_directory(str(tmp_path))
    may_end_r, may_end_w = os.pipe()
    told_r, told_w = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            files.lock_directory(str(tmp_path))
            os.write(told_w, b"taken")
        except LockedError:
            os.write(told_w, b"refused")
        os.read(may_end_r, 1)
        os._exit(0)

    assert os.read(told_r, 10) == b"refused"
    lock.release()
    again = files.lock_directory(str(tmp_path))

    os.write(may_end_w, b"x")
    os.waitpid(child, 0)
    again.release()
    for number in (may_end_r, may_end_w, told_r, told_w):
        os.close(number)


def test_a_link_in_the_place_of_a_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "x").symlink_to(tmp_path / "secret")

    with pytest.raises(IoError) as caught:
        FileSystem.posix().read_file(str(tmp_path / "x"))
    assert caught.value.errno == errno.ELOOP


def test_a_name_with_a_nul_opens_nothing(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"x")

    with pytest.raises(IoError):
        FileSystem.posix().read_file(str(tmp_path / "x") + "\0y")


def test_power_loss_keeps_what_was_synced_and_loses_the_name_that_was_not() -> None:
    files = FileSystem.memory()
    files.make_directory("d")
    files.write_atomic("d/kept", b"old")
    files.rename("d/kept", "d/renamed")

    crashed = files.crash()
    assert crashed.list("d") == ["kept"]
    assert crashed.read_file("d/kept") == b"old"

    files.sync_directory("d")
    assert files.crash().list("d") == ["renamed"]


def test_a_killed_process_loses_nothing_until_the_power_goes_too() -> None:
    files = FileSystem.memory()
    files.write_atomic("kept", b"old")
    files.rename("kept", "renamed")

    killed = files.crash("none")

    assert killed.list("/") == ["renamed"]
    assert killed.crash("all").list("/") == ["kept"]


@pytest.mark.parametrize("loss", ["subset", "reorder", "torn_1", "torn_512", "torn_4096", "zeros"])
def test_the_same_seed_loses_the_same(loss: str) -> None:
    files = FileSystem.memory()
    for number in range(20):
        files.write_atomic(f"x{number}", bytes([number]) * 3000)
    for number in range(20):
        files.rename(f"x{number}", f"y{number}")

    first, second = files.crash(loss, 7), files.crash(loss, 7)

    assert first.list("/") == second.list("/")
    assert all(first.read_file(name) == second.read_file(name) for name in first.list("/"))


def test_a_fault_strikes_the_operation_it_was_meant_for_once_or_for_good() -> None:
    files = FileSystem.memory()
    files.fail(["sync"], at=2, errno=errno.EIO)
    files.write_atomic("a", b"1")
    with pytest.raises(IoError) as caught:
        files.write_atomic("a", b"2")
    assert caught.value.errno == errno.EIO
    assert files.read_file("a") == b"1"
    files.write_atomic("a", b"3")
    assert files.read_file("a") == b"3"

    files.fail(["write", "rename"], errno=errno.ENOSPC, sticky=True)
    for _ in range(3):
        with pytest.raises(IoError):
            files.write_atomic("a", b"4")
    files.forgive()
    files.write_atomic("a", b"5")
    assert files.count("sync") == 4


def test_many_files_are_written_and_replaced_with_their_folders(place: tuple[FileSystem, str]) -> None:
    files, root = place
    names = [f"{root}/users/{number}/x" for number in range(20)]
    assert files.write_atomic_all([(name, b"old") for name in names]) == [None] * 20
    assert files.write_atomic_all([(name, name.encode()) for name in names]) == [None] * 20

    assert files.read_all(names) == [name.encode() for name in names]
    assert all(files.list(f"{root}/users/{number}") == ["x"] for number in range(20))
    assert files.write_atomic_all([]) == []


def test_many_files_are_written_in_rounds() -> None:
    files = FileSystem.memory()
    files.make_directory("d/old")
    files.write_atomic("d/old/a", b"before")
    files.record()
    files.write_atomic_all([("d/old/a", b"1"), ("d/old/b", b"2"), ("d/new/a", b"3")])

    done = [files.recorded_operation(number) for number in range(files.recorded())]
    assert done == [
        ("make_directory", "d/new"),
        *[(verb, f"{name}.tmp") for name in ("d/old/a", "d/old/b", "d/new/a") for verb in ("open", "write")],
        *[("sync", f"{name}.tmp") for name in ("d/old/a", "d/old/b", "d/new/a")],
        *[("rename", f"{name}.tmp") for name in ("d/old/a", "d/old/b", "d/new/a")],
        ("sync_directory", "d/new"),
        ("sync_directory", "d/old"),
        ("sync_directory", "d"),
    ]


MANY = [f"d/{folder}/{name}" for folder in "abc" for name in "xy"]


@pytest.mark.parametrize("sticky", [False, True])
@pytest.mark.parametrize(
    "operation", ["open", "write", "sync", "close", "rename", "sync_directory", "make_directory"]
)
def test_of_many_files_each_is_durable_or_tells_why_not(operation: str, sticky: bool) -> None:
    """Nothing is half there, and a folder that is there after a failure is one that stays."""
    at = failed = 0
    while True:
        at += 1
        files = FileSystem.memory()
        files.make_directory("d/a")
        for name in MANY[:2]:
            files.write_atomic(name, b"old")
        before = files.count(operation)
        files.fail([operation], at=at, errno=errno.EIO, sticky=sticky)
        answers = files.write_atomic_all([(name, b"new") for name in MANY])
        files.forgive()
        if files.count(operation) - before < at:
            break
        failed += 1
        assert any(answers)
        for number, loss in enumerate(("none", "all", "subset", "reorder", "zeros")):
            disk = files.crash(loss, number)
            for name, answer in zip(MANY, answers, strict=True):
                there = disk.read_file(name) if disk.exists(name) else None
                if answer is None:
                    assert there == b"new"
                else:
                    assert answer.errno == errno.EIO
                    assert there in (b"new", b"old" if name in MANY[:2] else None)
        again = files.write_atomic_all([(name, b"again") for name in MANY])
        assert again == [None] * len(MANY)
        assert files.crash("all").read_all(MANY) == [b"again"] * len(MANY)
        assert not [name for folder in "abc" for name in files.list(f"d/{folder}") if "tmp" in name]
    assert failed
    assert answers == [None] * len(MANY)


def test_a_directory_whose_name_could_not_be_synced_is_not_there() -> None:
    files = FileSystem.memory()
    files.fail(["sync_directory"])
    with pytest.raises(IoError):
        files.make_directory("d")
    assert not files.exists("d")
    files.make_directory("d")
    assert files.crash("all").exists("d")


def test_many_files_are_read_and_the_first_link_is_found(tmp_path: Path) -> None:
    files = FileSystem.posix()
    (tmp_path / "x").write_bytes(b"x")
    (tmp_path / "link").symlink_to(tmp_path / "x")
    found, missing = files.read_all([str(tmp_path / "x"), str(tmp_path / "y")])

    assert found == b"x"
    assert isinstance(missing, IoError)
    assert missing.errno == errno.ENOENT
    names = [str(tmp_path / name) for name in ("x", "y", "link")]
    assert files.first_link(names) == names[2]
    assert files.first_link(names[:2]) is None


def test_only_a_memory_file_system_can_crash() -> None:
    with pytest.raises(TypeError, match="memory"):
        FileSystem.posix().crash()
    with pytest.raises(ValueError, match="torn_512"):
        FileSystem.memory().crash("torn")


def test_a_manual_clock_stands_still_and_the_systems_does_not_take_orders() -> None:
    clock = Clock.manual(1_000)
    clock.advance(5)
    assert clock.now_us() == 1_005
    clock.set(7)
    assert clock.now_us() == 7
    with pytest.raises(TypeError, match="manual"):
        Clock.system().set(0)


def test_seeded_bytes_repeat_and_system_bytes_do_not() -> None:
    assert RandomSource.seeded(1).bytes(100) == RandomSource.seeded(1).bytes(100)
    assert RandomSource.seeded(1).bytes(16) != RandomSource.seeded(2).bytes(16)
    drawn = {RandomSource.system().bytes(16) for _ in range(2_000)}
    assert len(drawn) == 2_000
    assert len(RandomSource.system().bytes(10_000)) == 10_000


def _draw(queue: "multiprocessing.SimpleQueue[bytes]", source: RandomSource) -> None:
    queue.put(source.bytes(32))


def test_a_forked_child_never_draws_its_parents_bytes() -> None:
    source = RandomSource.system()
    source.bytes(8)
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    children = [context.Process(target=_draw, args=(queue, source)) for _ in range(2)]
    for child in children:
        child.start()
    drawn = {queue.get() for _ in children} | {source.bytes(32)}
    for child in children:
        child.join()

    assert len(drawn) == 3

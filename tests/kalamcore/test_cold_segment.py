"""Cold segments in the core: what it asks for, what it finds in what it is given, and what it keeps."""

from __future__ import annotations

import io
import itertools
import random
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kalamcore.errors import (
    ColdMissError,
    CoreError,
    DuplicateKeyError,
    ValueMismatchError,
    WriteConflictError,
)
from kalamcore.rows import BIGINT, TEXT, Layout, Reader, encode_key
from kalamcore.store import Store, WriteBatch
from kalamcore.system import Clock, FileSystem, RandomSource
from kalamdb.engine.segments.key_filter import bits_of

TABLE, PLACES = 1, 7
FIRST_KEY_BYTES = 32
USER = b"alice"
SECOND_US = 1_000_000
LAYOUTS = {kind: Layout(1, [(1, kind, 0, 0, False), (2, BIGINT, 0, 0, True)], 0) for kind in (BIGINT, TEXT)}
READERS = {kind: Reader([layout], [None, None]) for kind, layout in LAYOUTS.items()}
PLACE_LAYOUT = Layout(1, [(1, TEXT, 0, 0, False)], 0)
SCHEMA = {
    kind: pa.schema([("id", arrow), ("n", pa.int64()), ("_seq", pa.int64()), ("_deleted", pa.bool_())])
    for kind, arrow in ((BIGINT, pa.int64()), (TEXT, pa.string()))
}
Row = tuple[Any, int | None, int, bool]
"""Key, value, sequence number, whether it is a tombstone."""


class World:
    """A store, and segments in a storage that is a dict."""

    def __init__(self, kind: int, cache_bytes: int = 1 << 20) -> None:
        self.kind = kind
        self.files = FileSystem.memory()
        self.files.make_directory("data")
        self.files.make_directory("hot")
        self.store = Store(
            self.files,
            "data",
            clock=Clock.manual(1_900_000_000 * SECOND_US),
            random=RandomSource.seeded(1),
            wal_file_bytes=1 << 20,
            hot_directory="hot",
            cold_cache_bytes=cache_bytes,
        )
        self.store.define_table(TABLE, 1, reader=READERS[kind], column_names=("id", "n"))
        self.store.define_table(PLACES, 1, reader=Reader([PLACE_LAYOUT], [None]), column_names=("key",))
        self.numbers = itertools.count(1)
        self.blocks: dict[tuple[int, int], list[Row]] = {}
        self.segments: list[tuple[Any, ...]] = []
        self.generation = 0
        self.manifests = 0
        self.loaded: list[tuple[int, int]] = []
        self.ready = False

    def name(self, partition: bytes = USER) -> None:
        """From here on the partition has something cold."""
        batch = WriteBatch(self.store.snapshot())
        batch.insert(PLACES, b"", PLACE_LAYOUT, (f"{TABLE}." + partition.decode(),))
        self.store.commit(batch)
        self.store.add_cold_table(TABLE)

    def key(self, value: Any) -> bytes:
        return encode_key(self.kind, value)

    def add(
        self, rows: Sequence[Row], block_rows: int, *, filters: bool = False, complete_from: int = 0
    ) -> None:
        """A segment of these rows, newer than those before it."""
        number = next(self.numbers)
        blocks = [list(rows[at : at + block_rows]) for at in range(0, len(rows), block_rows)]
        for at, block in enumerate(blocks):
            self.blocks[number, at] = block
        sequences = [row[2] for row in rows]
        description = (
            number,
            LAYOUTS[self.kind],
            [len(block) for block in blocks],
            [self.key(block[0][0])[:FIRST_KEY_BYTES] for block in blocks],
            self.key(rows[0][0]),
            self.key(rows[-1][0]),
            [filter_of(self.batch(block)) for block in blocks] if filters else [],
            min(sequences),
            max(sequences),
            sum(row[3] for row in rows),
            complete_from,
        )
        self.segments.insert(0, description)

    def tell(self, watermark: int = 0) -> None:
        """A new manifest."""
        self.generation += 1
        self.ready = True
        self.store.set_cold(TABLE, USER, self.generation, watermark, self.segments)

    def batch(self, rows: Sequence[Row]) -> pa.RecordBatch:
        columns = list(zip(*rows, strict=True))
        schema = SCHEMA[self.kind]
        return pa.record_batch(
            [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)],
            schema=schema,
        )

    def read(self, work: Callable[[], Any]) -> Any:
        """What a read gives that is brought what it lacks, and how often it lacked something."""
        held: list[object] = []
        while True:
            try:
                return work()
            except ColdMissError as miss:
                if (miss.table_id, miss.partition) != (TABLE, USER) or (self.ready and not miss.blocks):
                    raise
                if not miss.blocks:
                    self.manifests += 1
                    self.tell()
                for block in miss.blocks:
                    self.loaded.append(block)
                    layout = LAYOUTS[self.kind]
                    held.append(self.store.add_cold_block(*block, layout, self.batch(self.blocks[block])))

    def get(self, value: Any, snapshot: int | None = None, *, deleted: bool = False) -> Any:
        at = self.store.snapshot() if snapshot is None else snapshot
        reader = READERS[self.kind]
        return self.read(
            lambda: self.store.get(TABLE, USER, self.key(value), at, reader, [0, 1, -1, -3], deleted)
        )

    def scan(self, snapshot: int | None = None, **bounds: Any) -> Any:
        at = self.store.snapshot() if snapshot is None else snapshot
        reader = READERS[self.kind]
        return self.read(lambda: self.store.scan(TABLE, USER, at, reader, [0, 1, -1, -3], **bounds))

    def count(self, snapshot: int | None = None) -> Any:
        at = self.store.snapshot() if snapshot is None else snapshot
        return self.read(lambda: self.store.count(TABLE, USER, at))

    def arrow(self, snapshot: int | None = None, **bounds: Any) -> list[Row]:
        at = self.store.snapshot() if snapshot is None else snapshot
        reader = READERS[self.kind]
        parts = self.read(lambda: self.store.scan_arrow(TABLE, USER, at, reader, [0, 1, -1, -3], **bounds))
        return sorted(tuple(row.values()) for part in parts for row in pa.record_batch(part).to_pylist())

    def write(self, value: Any, n: int | None) -> int:
        """A hot row; a tombstone where `n` is None. The commit is brought what it lacks."""
        batch = WriteBatch(self.store.snapshot())
        layout = LAYOUTS[self.kind]
        there = self.get(value)
        if n is None:
            batch.delete(TABLE, USER, layout, (value, None))
        else:
            (batch.replace if there else batch.insert)(TABLE, USER, layout, (value, n))
        return self.read(lambda: self.store.commit(batch))


def filter_of(batch: pa.RecordBatch) -> bytes:
    """The filter that pyarrow writes over the keys."""
    sink = io.BytesIO()
    collected: list[pq.FileMetaData] = []
    writer = pq.ParquetWriter(
        sink,
        batch.schema,
        bloom_filter_options={"id": {"ndv": batch.num_rows, "fpp": 0.01}},
        metadata_collector=collected,
    )
    writer.write_batch(batch)
    writer.close()
    chunk = collected[0].row_group(0).column(0)
    return bits_of(sink.getvalue()[chunk.bloom_filter_offset :][: chunk.bloom_filter_length])


def keys_of(kind: int, dice: random.Random, count: int) -> list[Any]:
    """Keys in order; texts often begin alike for longer than what is kept of first keys."""
    if kind == BIGINT:
        return sorted({dice.choice([dice.randrange(-300, 300), dice.getrandbits(63)]) for _ in range(count)})
    begins = ("", "a", "x" * 31, "x" * 32, "x" * 33, "x" * 70, "é" * 16)
    keys = {dice.choice(begins) + str(dice.randrange(200)) * dice.randrange(3) for _ in range(count)}
    return sorted(keys, key=str.encode)


@pytest.mark.parametrize("kind", [BIGINT, TEXT])
@pytest.mark.parametrize("filters", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_what_is_found_is_what_is_there(kind: int, filters: bool, seed: int) -> None:
    dice = random.Random(seed)
    world = World(kind, cache_bytes=dice.choice([0, 3000, 1 << 20]))
    world.name()
    model: dict[Any, Row] = {}
    sequence = 0
    keys = keys_of(kind, dice, 80)
    for _ in range(dice.randrange(1, 4)):
        chosen = [key for key in keys if dice.random() < 0.6] or keys[:1]
        rows: list[Row] = []
        for key in chosen:
            sequence += 1
            rows.append((key, dice.choice([None, sequence]), sequence, dice.random() < 0.2))
            model[key] = rows[-1]
        world.add(rows, dice.choice([1, 3, 7, 100]), filters=filters)
    for key in [key for key in keys if dice.random() < 0.2]:
        living = key in model and not model[key][3]
        if living or dice.random() < 0.5:
            n = None if living and dice.random() < 0.5 else dice.randrange(1000)
            model[key] = (key, n, world.write(key, n), n is None)
    if dice.random() < 0.5:
        world.store.checkpoint()

    ordered = [model[key] for key in keys if key in model]
    living = [row for row in ordered if not row[3]]
    assert world.scan() == living
    assert world.scan(reverse=True) == living[::-1]
    assert [row[2:] for row in world.scan(deleted=True)] == [row[2:] for row in ordered]
    assert world.count() == len(living)
    assert world.arrow() == sorted(living)
    for key in keys:
        found = world.get(key)
        assert found == (model[key] if key in model and not model[key][3] else None)
    for _ in range(20):
        low, high = sorted([dice.choice(keys), dice.choice(keys)], key=world.key)
        wanted = [row for row in living if world.key(low) <= world.key(row[0]) <= world.key(high)]
        bounds = {"low": world.key(low), "high": world.key(high)}
        assert world.scan(**bounds) == wanted
        assert world.scan(**bounds, reverse=True, limit=3) == wanted[::-1][:3]
        assert world.arrow(**bounds) == sorted(wanted)
    assert world.manifests == 1


def test_a_storage_is_asked_for_nothing_where_nothing_is_cold() -> None:
    world = World(BIGINT)
    world.store.add_cold_table(TABLE)

    assert world.scan() == []
    assert world.count() == 0
    batch = WriteBatch(world.store.snapshot())
    batch.insert(TABLE, USER, LAYOUTS[BIGINT], (1, 1))
    world.store.commit(batch)
    assert world.manifests == 0
    world.name()
    world.add([(2, 2, 1, False)], 1)
    world.tell()
    assert len(world.scan()) == 2
    assert world.manifests == 0


@pytest.mark.parametrize("kind", [BIGINT, TEXT])
def test_a_commit_looks_again_once_it_was_brought_what_it_lacked(kind: int) -> None:
    """What a look had not seen when it was broken off must not count as seen."""
    world = World(kind)
    world.name()
    keys = list(range(10)) if kind == BIGINT else [f"k{n}" for n in range(10)]
    world.add([(key, 1, at + 1, False) for at, key in enumerate(keys)], 4)
    batch = WriteBatch(world.store.snapshot())
    batch.insert_many(TABLE, USER, LAYOUTS[kind], [("new" if kind == TEXT else 99, 1), (keys[7], 1)])

    with pytest.raises(DuplicateKeyError) as refused:
        world.read(lambda: world.store.commit(batch))

    assert refused.value.operation == 1
    assert world.count() == 10


def test_a_stale_change_of_a_cold_row_conflicts() -> None:
    world = World(BIGINT)
    world.name()
    world.add([(key, 1, 10 + key, False) for key in range(5)], 2)
    world.tell()
    for work in ("replace", "delete"):
        batch = WriteBatch(3)
        getattr(batch, work)(TABLE, USER, LAYOUTS[BIGINT], (2, 5))
        with pytest.raises(WriteConflictError):
            world.read(lambda batch=batch: world.store.commit(batch))
    assert world.count() == 5


@pytest.mark.parametrize("kind", [BIGINT, TEXT])
def test_filters_spare_the_storage_keys_that_are_not_there(kind: int) -> None:
    world = World(kind, cache_bytes=0)
    world.name()
    keys = (
        [n * 2 for n in range(2000)]
        if kind == BIGINT
        else sorted(f"key {n * 2:07}" + "é" * (n % 50) for n in range(2000))
    )
    world.add([(key, 1, at + 1, False) for at, key in enumerate(keys)], 500, filters=True)
    world.tell()
    absent = (
        [n * 2 + 1 for n in range(1000)] if kind == BIGINT else [f"key {n * 2 + 1:07}" for n in range(1000)]
    )

    assert all(world.get(key) is None for key in absent)

    assert len(world.loaded) < 60
    for key in keys[::37]:
        assert world.get(key)[0] == key


def test_a_snapshot_that_a_compaction_has_outrun_is_told() -> None:
    world = World(BIGINT)
    world.name()
    rows: list[Row] = [(1, 10, 5, False), (2, 20, 9, False), (3, 30, 6, True)]
    world.add(rows, 2, complete_from=12)
    world.tell()

    assert world.scan(12) == rows[:2]
    assert world.scan(20) == rows[:2]
    assert world.get(1, 7) == rows[0]
    for work in (
        lambda: world.scan(7),
        lambda: world.get(2, 7),
        lambda: world.count(7),
        lambda: world.arrow(7),
    ):
        with pytest.raises(WriteConflictError, match="the snapshot is not kept any more"):
            work()


def test_a_snapshot_before_a_flush_does_not_see_its_versions() -> None:
    world = World(BIGINT)
    world.name()
    world.add([(1, 10, 1, False), (2, 20, 2, False)], 2)
    world.add([(1, 11, 5, False), (2, None, 6, True), (3, 30, 7, False)], 1)
    world.tell(watermark=7)

    assert world.scan(2) == [(1, 10, 1, False), (2, 20, 2, False)]
    assert world.scan(5) == [(1, 11, 5, False), (2, 20, 2, False)]
    assert world.count(5) == 2
    assert world.count(6) == 1
    assert world.arrow(6) == [(1, 11, 5, False)]
    assert world.scan(7) == [(1, 11, 5, False), (3, 30, 7, False)]


def test_an_older_manifest_does_not_take_the_place_of_a_newer_one() -> None:
    world = World(BIGINT)
    world.name()
    world.add([(1, 10, 1, False)], 1)
    old = list(world.segments)
    world.tell()
    world.add([(2, 20, 2, False)], 1)
    world.tell()

    world.store.set_cold(TABLE, USER, 1, 0, old)
    assert world.count() == 2
    world.store.set_nothing_cold(TABLE, USER)
    assert world.count() == 2
    world.store.forget_cold(TABLE, USER)
    world.ready = False
    assert world.count() == 2
    assert world.manifests == 1


def test_decoded_blocks_take_no_more_than_the_cache_but_for_those_that_are_held() -> None:
    world = World(BIGINT, cache_bytes=20_000)
    world.name()
    world.add([(key, key, key + 1, False) for key in range(5000)], 100)
    world.tell()
    for key in range(0, 5000, 100):
        assert world.get(key) == (key, key, key + 1, False)
        assert world.store.statistics()["cold_cache_bytes"] <= 20_000 + 4000
    assert len(world.scan()) == 5000
    world.loaded.clear()
    assert world.get(3)[0] == 3
    assert world.get(3)[0] == 3
    assert len(world.loaded) <= 1


def test_what_is_no_block_is_refused() -> None:
    world = World(TEXT)
    world.name()
    rows: list[Row] = [("a", 1, 1, False), ("b", 2, 2, False)]
    world.add(rows, 2)
    world.tell()
    whole = world.batch(rows)
    wrong = {
        "a slice": whole.slice(1),
        "another type": whole.set_column(1, "n", pa.array([1, 2], pa.int32())),
        "large text": whole.set_column(0, "id", pa.array(["a", "b"], pa.large_string())),
        "no _deleted": whole.drop_columns(["_deleted"]),
        "no column": whole.drop_columns(["n"]),
    }
    for what, batch in wrong.items():
        with pytest.raises((ValueMismatchError, CoreError)):
            pytest.fail(f"{what} was taken: {world.store.add_cold_block(1, 0, LAYOUTS[TEXT], batch)}")
    assert world.count() == 2


def test_a_description_that_cannot_be_is_refused() -> None:
    world = World(BIGINT)
    good = (1, LAYOUTS[BIGINT], [2], [world.key(1)], world.key(1), world.key(2), [], 1, 2, 0, 0)
    for place, value in ((2, [2, 3]), (3, []), (6, [b""]), (6, [b"x" * 31]), (6, [b"x" * 32] * 2)):
        bad = list(good)
        bad[place] = value
        with pytest.raises(CoreError):
            world.store.set_cold(TABLE, USER, 1, 0, [tuple(bad)])

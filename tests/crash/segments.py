"""Damaged segments and manifests: what is not what was written is Corruption that names the file, never an answer.

Parquet's readers take most flipped bytes for data, so every byte is verified before one sees it. A segment is read here
in both ways, whole and by ranges, and its key filters are asked, so that every part of the file is used.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from kalamdb.engine.segments import Found, Manifest, SegmentInfo, SegmentReader, commit, load
from kalamdb.engine.segments.writer import encoded_key
from kalamdb.errors import Corruption
from kalamdb.schema import TableSchema
from kalamdb.types import BIGINT, TEXT
from tests.crash.damage import Figures
from tests.engine.segments.memory_storage import MemoryStorage
from tests.engine.segments.samples import FOLDER, OWNER, rows, table, wide_table, written

MAGIC_BYTES = 4
"""The first bytes of a Parquet file, which nobody needs who reads the rest by ranges."""


@dataclass
class Sample:
    """A segment, how it is read, and what that answers."""

    name: str
    storage: MemoryStorage
    schema: TableSchema
    segment: SegmentInfo
    whole: bool
    answer: Any = None

    @property
    def path(self) -> str:
        return f"{FOLDER}/{self.segment.file}"

    def read(self) -> Any:
        """Everything that a reader without caches says of it."""
        reader = SegmentReader(
            self.storage, tail_cache_bytes=0, whole_file_bytes=1 << 30 if self.whole else 0
        )
        found = reader.read_all(FOLDER, self.segment, self.schema.columns)
        key = self.schema.columns[0]
        asked = [encoded_key(found["id"][at].as_py(), key.type) for at in (0, -1)]
        return found, [reader.candidates(FOLDER, self.segment, one, key.type) for one in asked]


def samples(seed: int, count: int = 3) -> list[Sample]:
    """Segments of different shapes, each to be read in both ways."""
    shapes = [
        ("small", table(), 30, {}),
        ("every type", wide_table(), 60, {"row_group_rows": 25}),
        ("text keys", table(key=TEXT), 900, {"row_group_rows": 150}),
        ("uncompressed", table(compression="none"), 200, {"row_group_rows": 100}),
        ("filters in the segment", table([("n", BIGINT)]), 6000, {"row_group_rows": 2000}),
    ]
    made = []
    for number in range(count):
        name, schema, size, limits = shapes[number % len(shapes)]
        for whole in (True, False):
            storage = MemoryStorage()
            (segment,) = written(storage, schema, [rows(schema, size, seed + number)], **limits)
            sample = Sample(f"{name}, {'whole' if whole else 'by ranges'}", storage, schema, segment, whole)
            sample.answer = sample.read()
            made.append(sample)
    return made


def outcome(sample: Sample, figures: Figures, where: str) -> None:
    """Read a sample whose file was changed: it must be refused by name, or answer as before."""
    figures.tried += 1
    where = f"{sample.name}, {where}"
    try:
        found = sample.read()
    except Corruption as error:
        figures.outcomes["refused"] += 1
        if sample.path not in str(error):
            figures.find(f"{where}: the refusal does not name the file: {error}")
    except BaseException as error:
        figures.find(f"{where}: {error!r}")
        if isinstance(error, KeyboardInterrupt):
            raise
    else:
        figures.outcomes["same answer"] += 1
        if found != sample.answer:
            figures.find(f"{where}: silently another answer")
        elif sample.whole:
            figures.find(f"{where}: read whole, and taken")
    try:
        SegmentReader(sample.storage).verify(FOLDER, sample.segment)
        figures.find(f"{where}: verified")
    except Corruption:
        pass


def flips(content: bytes, seed: int, step: int) -> Iterator[tuple[int, bytes]]:
    """Every `step`-th byte changed, one at a time."""
    dice = random.Random(seed)
    for at in range(dice.randrange(step), len(content), step):
        changed = bytearray(content)
        # One bit in half of the cases: what decays first.
        changed[at] ^= dice.choice([1 << dice.randrange(8), dice.randrange(1, 256)])
        yield at, bytes(changed)


def prove_flipped_segments(seed: int, step: int = 1, count: int = 5) -> Figures:
    """Every byte of `count` segments changed, each read in both ways."""
    figures = Figures()
    for sample in samples(seed, count):
        content = sample.storage.files[sample.path]
        unread = 0
        for at, changed in flips(content, seed, step):
            sample.storage.files[sample.path] = changed
            before = figures.outcomes["same answer"]
            outcome(sample, figures, f"seed {seed}, byte {at}")
            unread += figures.outcomes["same answer"] - before
        if not sample.whole and sample.segment.key_filters is None and unread > MAGIC_BYTES:
            figures.find(f"seed {seed}, {sample.name}: {unread} bytes are not looked at")
    return figures


def prove_cut_segments(seed: int, step: int = 1, count: int = 3) -> Figures:
    """Segments cut at every byte, times three fills up to their size, and with more behind their end."""
    figures = Figures()
    dice = random.Random(seed)
    for sample in samples(seed, count):
        content = sample.storage.files[sample.path]
        for cut in range(dice.randrange(step), len(content), step):
            missing = len(content) - cut
            for what, behind in (
                ("cut", b""),
                ("zeros", bytes(missing)),
                ("random", dice.randbytes(missing)),
            ):
                changed = content[:cut] + behind
                if changed != content:
                    sample.storage.files[sample.path] = changed
                    outcome(sample, figures, f"seed {seed}, {what} at {cut}")
        for more in (b"\0", content):
            sample.storage.files[sample.path] = content + more
            outcome(sample, figures, f"seed {seed}, {len(more)} bytes longer")
    return figures


def prove_foreign_segments(seed: int) -> Figures:
    """Each file missing, and under its name another table's, an older one of the same table, one of the same size."""
    figures = Figures()
    made = samples(seed, 5)
    contents = [sample.storage.files[sample.path] for sample in made]
    for sample, (other, content) in itertools.product(made, zip(made, contents)):
        if other.segment.checksum != sample.segment.checksum:
            sample.storage.files[sample.path] = content
            outcome(sample, figures, f"seed {seed}, the file of {other.name}")
    for sample in samples(seed, 5):
        older = MemoryStorage()
        content = sample.storage.files[sample.path]
        (other,) = written(older, sample.schema, [rows(sample.schema, sample.segment.rows, seed + 99)])
        sample.storage.files[sample.path] = older.files[f"{FOLDER}/{other.file}"]
        outcome(sample, figures, f"seed {seed}, an older file")
        sample.storage.files[sample.path] = content[::-1]
        outcome(sample, figures, f"seed {seed}, as many other bytes")
        del sample.storage.files[sample.path]
        outcome(sample, figures, f"seed {seed}, missing")
    return figures


def manifests(seed: int) -> list[tuple[MemoryStorage, Manifest]]:
    """Two partitions' manifests: of one segment, and of several with every type of column."""
    made = []
    for schema, limits in (
        (table(), {}),
        (wide_table(TEXT), {"segment_bytes_max": 20_000, "row_group_rows": 50}),
    ):
        storage = MemoryStorage()
        segments = written(storage, schema, [rows(schema, 300, seed)], **limits)
        manifest = Manifest(OWNER, "app", "notes", "alice", 1, 1, 5, tuple(segments))
        commit(storage, FOLDER, Found(), manifest)
        made.append((storage, manifest))
    return made


def prove_manifests(seed: int, step: int = 1) -> Figures:
    """Two manifests with every byte changed to each of eight others, and cut at every byte."""
    figures = Figures()
    path = f"{FOLDER}/manifest.json"
    for number, (storage, manifest) in enumerate(manifests(seed)):
        content = storage.files[path]

        def changes(content: bytes = content) -> Iterator[tuple[str, bytes]]:
            for bit in range(8):
                for at in range(random.Random(seed + bit).randrange(step), len(content), step):
                    changed = bytearray(content)
                    changed[at] ^= 1 << bit
                    yield f"bit {bit} of byte {at}", bytes(changed)
            for at in range(0, len(content), step):
                yield f"cut at {at}", content[:at]
                yield f"zeros from {at}", content[:at] + bytes(len(content) - at)
            yield "longer", content + b"\n"
            yield "twice", content * 2

        if load(storage, FOLDER, OWNER).manifest != manifest:
            figures.find(f"seed {seed}, manifest {number}: it does not come back")
        for where, changed in changes():
            storage.files[path] = changed
            _refused(
                lambda s=storage: load(s, FOLDER, OWNER), path, figures, f"seed {seed}, {number}: {where}"
            )
    return figures


def _refused(read: Callable[[], object], path: str, figures: Figures, where: str) -> None:
    figures.tried += 1
    try:
        read()
        figures.find(f"{where}: taken")
    except Corruption as error:
        figures.outcomes["refused"] += 1
        if path not in str(error):
            figures.find(f"{where}: the refusal does not name the file: {error}")

"""What a backup says: whose it is, what existed, which files hold the rows. Drawn in docs/formats.md, "A backup"."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from kalamdb.engine.segments.checksums import CHECKSUM_BYTES
from kalamdb.engine.segments.sealed_json import encode_sealed, is_sealed
from kalamdb.errors import Corruption, UnknownFormat

FORMAT_VERSION = 1
_INTEGER_MAX = (1 << 64) - 1
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a file: `checksum` is xxh3-128 in hex, and with `size` its name in the target."""

    checksum: str
    size: int


@dataclass(frozen=True, slots=True)
class HotFile:
    """A hot segment, as the checkpoint named it."""

    number: int
    table_id: int
    size: int
    index_crc: int
    sequence_base: int
    chunks: tuple[Chunk, ...]


@dataclass(frozen=True, slots=True)
class ColdFile:
    """A cold segment, by its name in its partition's folder."""

    file: str
    chunks: tuple[Chunk, ...]


@dataclass(frozen=True, slots=True)
class ColdCopy:
    """A partition's manifest and the segments that it names, which lay in `folder` of the storage."""

    table_id: int
    partition: str
    storage_id: str
    folder: str
    manifest: tuple[Chunk, ...]
    segments: tuple[ColdFile, ...]


@dataclass(frozen=True, slots=True)
class Backup:
    """One backup. `catalog`: what existed, in words of kalamdb.catalog.transfer. `namespace`: None for all of it."""

    number: int
    database_id: str
    namespace: str | None
    created_at: str
    last_sequence: int
    lease_end_ms: int
    catalog: Mapping[str, Any]
    hot: tuple[HotFile, ...]
    cold: tuple[ColdCopy, ...]

    def chunks(self) -> set[Chunk]:
        """Everything that the target must have for it."""
        found = {chunk for file in self.hot for chunk in file.chunks}
        for copy in self.cold:
            found.update(copy.manifest)
            for segment in copy.segments:
                found.update(segment.chunks)
        return found


def encode_backup(backup: Backup) -> bytes:
    """The bytes of the file."""
    return encode_sealed({"format_version": FORMAT_VERSION, **asdict(backup)})


def decode_backup(path: str, content: bytes) -> Backup:
    """The backup that `encode_backup` wrote. Raises Corruption, UnknownFormat."""
    import orjson

    if not is_sealed(content):
        raise Corruption(f"{path} is not what was written; restore from another backup")
    try:
        found = orjson.loads(content)
        version = _integer(found["format_version"])
        if version > FORMAT_VERSION:
            raise UnknownFormat(
                f"{path} has format {version}, and this version of kalamdb reads up to {FORMAT_VERSION}; restore it "
                "with a newer kalamdb"
            )
        return Backup(
            number=_integer(found["number"]),
            database_id=_text(found["database_id"]),
            namespace=None if found["namespace"] is None else _text(found["namespace"]),
            created_at=_text(found["created_at"]),
            last_sequence=_integer(found["last_sequence"]),
            lease_end_ms=_integer(found["lease_end_ms"]),
            catalog=dict(found["catalog"]),
            hot=_all(found["hot"], _hot_file),
            cold=_all(found["cold"], _cold_copy),
        )
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise Corruption(f"{path} cannot be read as a backup: {error!r}; restore from another one") from error


def _hot_file(found: Any) -> HotFile:
    made = HotFile(
        _integer(found["number"]),
        _integer(found["table_id"]),
        _integer(found["size"]),
        _integer(found["index_crc"]),
        _integer(found["sequence_base"]),
        _all(found["chunks"], _chunk),
    )
    if sum(chunk.size for chunk in made.chunks) != made.size:
        raise ValueError("the pieces of a file are not as long as it is")
    return made


def _cold_copy(found: Any) -> ColdCopy:
    return ColdCopy(
        _integer(found["table_id"]),
        _text(found["partition"]),
        _text(found["storage_id"]),
        _text(found["folder"]),
        _all(found["manifest"], _chunk),
        _all(found["segments"], _cold_file),
    )


def _cold_file(found: Any) -> ColdFile:
    return ColdFile(_text(found["file"]), _all(found["chunks"], _chunk))


def _chunk(found: Any) -> Chunk:
    digits = _text(found["checksum"])
    # It becomes a name: anything else could lead out of the target.
    if len(digits) != 2 * CHECKSUM_BYTES or not set(digits) <= set("0123456789abcdef"):
        raise ValueError(f"{digits!r} is no checksum")
    return Chunk(digits, _integer(found["size"]))


def _all(found: Any, decode: Callable[[Any], Item]) -> tuple[Item, ...]:
    if not isinstance(found, list):
        raise TypeError(f"{found!r} is no list")
    return tuple(map(decode, found))


def _integer(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _INTEGER_MAX:
        raise ValueError(f"{value!r} is no whole number from 0")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value

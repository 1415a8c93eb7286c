"""The manifest: which segments hold a partition's cold rows.

A segment exists for readers only once the manifest names it. Replacing the manifest is the moment at which a flush or
a compaction happens; what no manifest names is a leftover.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from kalamdb.engine.segments.bounds import ColumnBounds
from kalamdb.engine.segments.checksums import CHECKSUM_BYTES
from kalamdb.engine.segments.sealed_json import encode_sealed, is_sealed
from kalamdb.engine.segments.segment_info import SegmentInfo
from kalamdb.engine.segments.storage import SegmentStorage
from kalamdb.errors import Corruption, Error, InternalError, StorageInUse, UnknownFormat

FORMAT_VERSION = 1
MANIFEST, PREVIOUS = "manifest.json", "manifest.previous.json"

_SCALARS = (bool, int, float, str, type(None))
_INTEGER_MAX = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose rows a partition's folder holds."""

    database_id: str
    table_id: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What one generation of the file says. The words are those of docs/formats.md, "The manifest"."""

    owner: Owner
    namespace_id: str
    table_name: str
    user_id: str | None
    schema_version: int
    generation: int
    watermark: int
    segments: tuple[SegmentInfo, ...]

    def following(
        self, segments: tuple[SegmentInfo, ...], *, schema_version: int, watermark: int | None = None
    ) -> Manifest:
        """The next generation, with these segments."""
        return replace(
            self,
            segments=segments,
            schema_version=schema_version,
            generation=self.generation + 1,
            watermark=self.watermark if watermark is None else watermark,
        )


@dataclass(frozen=True, slots=True)
class Found:
    """What stands in the place of a partition's manifest: at most one of the three."""

    manifest: Manifest | None = None
    """The partition's own."""
    leftover: Manifest | None = None
    """That of a table which is gone: its rows do not count, and the next commit replaces it."""
    foreign: Manifest | None = None
    """That of another database: its rows do not count, and no commit is possible."""
    tag: str | None = None
    """The version that a commit must find unchanged; None: there is none."""
    content: bytes = b""


def load(storage: SegmentStorage, folder: str, owner: Owner) -> Found:
    """Read a partition's manifest. Raises Corruption for a damaged or lost one, UnknownFormat for a newer format."""
    read = storage.read_tagged(f"{folder}/{MANIFEST}")
    if read is None:
        _require_none_before(folder, load_previous(storage, folder), owner)
        return Found()
    return _found(folder, read, owner)


def load_all(storage: SegmentStorage, folders: Sequence[str], owner: Owner) -> list[Found | Error]:
    """The manifests of many partitions, in less time: of each what load gives, or would have raised."""
    read = storage.read_tagged_all([f"{folder}/{MANIFEST}" for folder in folders])
    new = [folder for folder, one in zip(folders, read, strict=True) if one is None]
    before = iter(storage.read_tagged_all([f"{folder}/{PREVIOUS}" for folder in new]))
    answers: list[Found | Error] = []
    for folder, one in zip(folders, read, strict=True):
        try:
            if one is None:
                kept = next(before)
                if isinstance(kept, Error):
                    raise kept
                if kept is not None:
                    _require_none_before(folder, decode_manifest(f"{folder}/{PREVIOUS}", kept[0]), owner)
                answers.append(Found())
            else:
                answers.append(one if isinstance(one, Error) else _found(folder, one, owner))
        except Error as error:
            answers.append(error)
    return answers


def _found(folder: str, read: tuple[bytes, str], owner: Owner) -> Found:
    content, tag = read
    manifest = decode_manifest(f"{folder}/{MANIFEST}", content)
    if manifest.owner.database_id != owner.database_id:
        return Found(foreign=manifest, tag=tag, content=content)
    if manifest.owner.table_id != owner.table_id:
        return Found(leftover=manifest, tag=tag, content=content)
    return Found(manifest=manifest, tag=tag, content=content)


def _require_none_before(folder: str, previous: Manifest | None, owner: Owner) -> None:
    if previous is not None and previous.owner == owner:
        raise Corruption(
            f"{folder}/{MANIFEST} is missing, and was there, as {PREVIOUS} shows; bring it back from a backup, or run "
            "kalam repair"
        )


def load_previous(storage: SegmentStorage, folder: str) -> Manifest | None:
    """The generation before, for repair and for clean-up alone: as an answer it would miss rows."""
    read = storage.read_tagged(f"{folder}/{PREVIOUS}")
    return None if read is None else decode_manifest(f"{folder}/{PREVIOUS}", read[0])


def commit(
    storage: SegmentStorage, folder: str, found: Found, new: Manifest, *, keep_previous: bool = True
) -> Found:
    """Put a new generation in the place of what was `found`; what stands there then. This is when a flush has happened.

    `keep_previous=False` leaves nothing of the generation before, for erasing. Raises StorageConflict where another
    commit came first: load and merge again. Raises StorageInUse where the folder is another database's.
    """
    _require_following(folder, found, new)
    content = encode_manifest(new)
    previous = f"{folder}/{PREVIOUS}"
    if found.manifest is not None and keep_previous:
        # Before the replacement, so that two generations are there at any time.
        held = storage.read_tagged(previous)
        storage.replace(previous, found.content, held[1] if held is not None else None)
    tag = storage.replace(f"{folder}/{MANIFEST}", content, found.tag)
    if found.leftover is not None or not keep_previous:
        storage.delete(previous)
    return Found(manifest=new, tag=tag, content=content)


@dataclass(frozen=True, slots=True)
class Commit:
    """What is to follow what was found in a partition's folder."""

    folder: str
    found: Found
    new: Manifest


def commit_all(storage: SegmentStorage, commits: Sequence[Commit]) -> list[Found | Error]:
    """Commit for many partitions, in less time: of each what stands there then, or what commit would have raised. One
    that fails keeps no other from being committed."""
    answers: dict[int, Found | Error] = {}
    for one in commits:
        _require_following(one.folder, one.found, one.new)
    # As in commit, before the replacement.
    superseded = [number for number, one in enumerate(commits) if one.found.manifest is not None]
    previous = [f"{commits[number].folder}/{PREVIOUS}" for number in superseded]
    kept: list[tuple[str, bytes, str | None]] = []
    keeping: list[int] = []
    for number, path, held in zip(superseded, previous, storage.read_tagged_all(previous), strict=True):
        if isinstance(held, Error):
            answers[number] = held
        else:
            kept.append((path, commits[number].found.content, None if held is None else held[1]))
            keeping.append(number)
    for number, answer in zip(keeping, storage.replace_all(kept), strict=True):
        if isinstance(answer, Error):
            answers[number] = answer
    contents = {
        number: encode_manifest(one.new) for number, one in enumerate(commits) if number not in answers
    }
    replaced = storage.replace_all(
        [
            (f"{commits[number].folder}/{MANIFEST}", content, commits[number].found.tag)
            for number, content in contents.items()
        ]
    )
    for (number, content), new_tag in zip(contents.items(), replaced, strict=True):
        one = commits[number]
        if isinstance(new_tag, Error):
            answers[number] = new_tag
            continue
        answers[number] = Found(manifest=one.new, tag=new_tag, content=content)
        if one.found.leftover is not None:
            try:
                storage.delete(f"{one.folder}/{PREVIOUS}")
            except Error as error:
                answers[number] = error
    return [answers[number] for number in range(len(commits))]


def _require_following(folder: str, found: Found, new: Manifest) -> None:
    require_own(folder, found)
    expected = found.manifest.generation + 1 if found.manifest is not None else 1
    if new.generation != expected:
        raise InternalError(
            f"generation {new.generation} of {folder}/{MANIFEST} cannot follow {expected - 1}; report it"
        )


def require_own(folder: str, found: Found) -> None:
    """Before anything is written to a folder. Raises StorageInUse where it is another database's."""
    if found.foreign is not None:
        raise StorageInUse(
            f"{folder}/{MANIFEST} belongs to the database {found.foreign.owner.database_id}; give this database's "
            "storage a place of its own"
        )


def leftovers(storage: SegmentStorage, folder: str, owner: Owner) -> list[str]:
    """The paths of files in a partition's folder that neither its manifest nor the one before names.

    They may belong to a flush that is under way: remove those alone that were leftovers a grace time ago, too, when
    no job was running for the partition.
    """
    found = load(storage, folder, owner)
    if found.foreign is not None:
        return []
    kept = {f"{folder}/{MANIFEST}", f"{folder}/{PREVIOUS}"}
    for manifest in (found.manifest, load_previous(storage, folder)):
        if manifest is not None and manifest.owner == owner:
            kept.update(f"{folder}/{segment.file}" for segment in manifest.segments)
    # Folders below are other partitions'.
    return sorted(
        path for path in storage.list(folder) if path not in kept and "/" not in path[len(folder) + 1 :]
    )


def encode_manifest(manifest: Manifest) -> bytes:
    """The bytes of the file."""
    return encode_sealed(
        {
            "format_version": FORMAT_VERSION,
            "database_id": manifest.owner.database_id,
            "table_id": manifest.owner.table_id,
            "namespace_id": manifest.namespace_id,
            "table_name": manifest.table_name,
            "user_id": manifest.user_id,
            "schema_version": manifest.schema_version,
            "generation": manifest.generation,
            "watermark": manifest.watermark,
            "segments": [_encode_segment(segment) for segment in manifest.segments],
        }
    )


def decode_manifest(path: str, content: bytes) -> Manifest:
    """The manifest that `encode_manifest` wrote. Raises Corruption, UnknownFormat."""
    import orjson

    if not is_sealed(content):
        raise Corruption(f"{path} is not what was written; bring it back from a backup, or run kalam repair")
    try:
        found = orjson.loads(content)
        version = _integer(found.pop("format_version"), 1)
        if version > FORMAT_VERSION:
            raise UnknownFormat(
                f"{path} has format {version}, and this version of kalamdb reads up to {FORMAT_VERSION}; "
                "open the database with a newer kalamdb"
            )
        del found["checksum"]
        segments = tuple(map(_decode_segment, _of(found.pop("segments"), list)))
        manifest = Manifest(
            owner=Owner(_of(found.pop("database_id"), str), _integer(found.pop("table_id"))),
            namespace_id=_of(found.pop("namespace_id"), str),
            table_name=_of(found.pop("table_name"), str),
            user_id=_or_none(found.pop("user_id"), str),
            schema_version=_integer(found.pop("schema_version"), 1),
            generation=_integer(found.pop("generation"), 1),
            watermark=_integer(found.pop("watermark")),
            segments=segments,
        )
        _nothing_left(found)
        if len({segment.file for segment in segments}) != len(segments):
            raise ValueError("a segment is named twice")
        return manifest
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise Corruption(
            f"{path} cannot be read as a manifest: {error!r}; bring it back from a backup"
        ) from error


def _encode_segment(segment: SegmentInfo) -> dict[str, object]:
    return {
        "file": segment.file,
        "rows": segment.rows,
        "tombstones": segment.tombstones,
        "bytes": segment.size_bytes,
        "columns": {
            str(id_): {"min": bounds.min, "max": bounds.max, "nulls": bounds.nulls}
            for id_, bounds in segment.columns.items()
        },
        "min_key": _base64(segment.min_key),
        "max_key": None if segment.max_key is None else _base64(segment.max_key),
        "min_seq": segment.min_seq,
        "max_seq": segment.max_seq,
        "schema_version": segment.schema_version,
        "row_groups": segment.row_groups,
        "index_offset": segment.index_offset,
        "tail_offset": segment.tail_offset,
        "checksum": segment.checksum.hex(),
        "index_checksum": segment.index_checksum.hex(),
        "tail_checksum": segment.tail_checksum.hex(),
        "key_filters": None
        if segment.key_filters is None
        else [_base64(bits) for bits in segment.key_filters],
    }


def _decode_segment(found: Any) -> SegmentInfo:
    max_key = _or_none(found.pop("max_key"), str)
    filters = _or_none(found.pop("key_filters"), list)
    segment = SegmentInfo(
        file=_file_name(found.pop("file")),
        rows=_integer(found.pop("rows"), 1),
        tombstones=_integer(found.pop("tombstones")),
        size_bytes=_integer(found.pop("bytes"), 1),
        columns=dict(_columns(_of(found.pop("columns"), dict))),
        min_key=_from_base64(found.pop("min_key")),
        max_key=None if max_key is None else _from_base64(max_key),
        min_seq=_integer(found.pop("min_seq")),
        max_seq=_integer(found.pop("max_seq")),
        schema_version=_integer(found.pop("schema_version"), 1),
        row_groups=_integer(found.pop("row_groups"), 1),
        index_offset=_integer(found.pop("index_offset")),
        tail_offset=_integer(found.pop("tail_offset")),
        checksum=_checksum(found.pop("checksum")),
        index_checksum=_checksum(found.pop("index_checksum")),
        tail_checksum=_checksum(found.pop("tail_checksum")),
        key_filters=None if filters is None else tuple(map(_filter, filters)),
    )
    _nothing_left(found)
    if not segment.index_offset <= segment.tail_offset < segment.size_bytes:
        raise ValueError(f"the parts of {segment.file} lie outside of it")
    if (
        segment.tombstones > segment.rows
        or segment.row_groups > segment.rows
        or segment.min_seq > segment.max_seq
    ):
        raise ValueError(f"the numbers of {segment.file} do not fit each other")
    if segment.key_filters is not None and len(segment.key_filters) != segment.row_groups:
        raise ValueError(f"{segment.file} has another number of filters than of row groups")
    return segment


def _columns(found: Mapping[str, Any]) -> Iterator[tuple[int, ColumnBounds]]:
    for text, bounds in found.items():
        low, high, nulls = bounds["min"], bounds["max"], bounds["nulls"]
        id_ = int(text)
        if (
            len(bounds) != 3
            or not isinstance(low, _SCALARS)
            or not isinstance(high, _SCALARS)
            or type(nulls) is not int
            or nulls < 0
            or str(id_) != text
        ):
            raise ValueError(f"the bounds of column {text!r} are none")
        yield id_, ColumnBounds(low, high, nulls)


Kind = TypeVar("Kind")


def _of(value: object, kind: type[Kind]) -> Kind:
    if not isinstance(value, kind):
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value


def _or_none(value: object, kind: type[Kind]) -> Kind | None:
    return None if value is None else _of(value, kind)


def _integer(value: object, low: int = 0) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= _INTEGER_MAX:
        raise ValueError(f"{value!r} is no whole number from {low}")
    return value


def _file_name(value: object) -> str:
    # A name that led out of the folder would let whoever writes manifests read and remove other files.
    name = _of(value, str)
    number = name.removeprefix("segment-").removesuffix(".parquet")
    if name != f"segment-{number}.parquet" or not (number.isascii() and number.isdigit()):
        raise ValueError(f"{name!r} is no segment")
    return name


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _from_base64(value: object) -> bytes:
    try:
        return base64.b64decode(_of(value, str), validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None


def _filter(value: object) -> bytes:
    bits = _from_base64(value)
    if not bits or len(bits) % 32:
        raise ValueError("a key filter is no whole number of blocks")
    return bits


def _checksum(value: object) -> bytes:
    found = bytes.fromhex(_of(value, str))
    if len(found) != CHECKSUM_BYTES:
        raise ValueError(f"{value!r} is no checksum")
    return found


def _nothing_left(found: Mapping[str, object]) -> None:
    if found:
        raise ValueError(f"{next(iter(found))!r} is unknown")

"""Where a storage is: one URI, whose scheme fits the storage's type.

filesystem    an absolute path, file:///path, or a path relative to the database directory
s3            s3://bucket/prefix
gcs           gs://bucket/prefix
azure         az://container/prefix
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from kalamdb.errors import InvalidDefinition

FILESYSTEM = "filesystem"
SCHEMES = {"s3": "s3", "gcs": "gs", "azure": "az"}
"""By type, for storages in buckets."""
TYPES = (FILESYSTEM, *SCHEMES)
URI_LENGTH_MAX = 1024

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]\Z")
_OWN_FILES = ("lock", "database.json", "master.key", "jwt.secret")
OWN_NAMES = frozenset(
    {
        *("wal", "hot", "cold", "tmp", "jobs", "backup", "segments"),
        *_OWN_FILES,
        # As what they are before they are whole.
        *(f"{name}.tmp" for name in _OWN_FILES),
    }
)
"""Names in the database directory that belong to the database, now or later; compared without regard to case."""


@dataclass(frozen=True, slots=True)
class StorageUri:
    """A checked URI. `text` is how it is kept and shown: without a `/` at its end.

    `path`: of a filesystem storage, absolute or relative to the database directory. `bucket`, `prefix`: of the others.
    """

    type: str
    text: str
    path: str = ""
    bucket: str = ""
    prefix: str = ""

    def overlaps(self, other: StorageUri) -> bool:
        """Whether one is the other, or lies in it. A relative path and an absolute one never do: absolute ones are kept
        out of the database directory."""
        if (self.type == FILESYSTEM) != (other.type == FILESYSTEM) or self.bucket != other.bucket:
            return False
        if self.type == FILESYSTEM:
            mine, theirs = _segments(self.path), _segments(other.path)
            if self.path.startswith("/") != other.path.startswith("/"):
                return False
        else:
            if self.type != other.type:
                return False
            mine, theirs = _segments(self.prefix), _segments(other.prefix)
        shorter = min(len(mine), len(theirs))
        return mine[:shorter] == theirs[:shorter]


def parse_uri(type: str, text: str) -> StorageUri:
    """Raises InvalidDefinition, which never repeats a URI with a password in it."""
    if not text or len(text) > URI_LENGTH_MAX:
        raise InvalidDefinition(f"the URI of a storage has 1 to {URI_LENGTH_MAX} characters")
    if not text.isprintable() or "\\" in text:
        raise InvalidDefinition("the URI of a storage has no control characters and no backslash")
    match = _SCHEME.match(text)
    scheme = match[1].lower() if match else ""
    rest = text[match.end() :] if match else text
    if "@" in rest.partition("/")[0] and scheme:
        raise InvalidDefinition("the URI of a storage holds no user or password; give them as CREDENTIALS")
    fitting = next(
        (name for name, of in SCHEMES.items() if of == scheme), FILESYSTEM if scheme == "file" else None
    )
    if type == FILESYSTEM:
        if scheme in ("", "file"):
            return _filesystem(text, scheme, rest)
    elif scheme == SCHEMES[type]:
        return _bucket(type, scheme, rest)
    expected = (
        "an absolute or relative path, or file:///path"
        if type == FILESYSTEM
        else f"{SCHEMES[type]}://bucket/prefix"
    )
    hint = f"; {scheme}:// is of TYPE {fitting}" if fitting else ""
    raise InvalidDefinition(f"the URI of a storage of type {type} is {expected}{hint}")


def _filesystem(text: str, scheme: str, rest: str) -> StorageUri:
    path = text
    if scheme:
        host, slash, after = rest.partition("/")
        if host not in ("", "localhost") or not slash:
            raise InvalidDefinition("a file URI names a path of this machine: file:///path")
        if "?" in after or "#" in after:
            raise InvalidDefinition("a file URI has no ? and no #; write them as %3F and %23")
        import urllib.parse

        path = "/" + urllib.parse.unquote(after, errors="surrogateescape")
        if not path.isprintable() or "\\" in path:
            raise InvalidDefinition("the URI of a storage has no control characters and no backslash")
    elif re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", text):
        raise InvalidDefinition("the URI of a filesystem storage is a path, or file:///path")
    absolute = path.startswith("/")
    segments = _checked(path.strip("/"))
    if not segments:
        raise InvalidDefinition("the URI of a storage names a directory, and not the root of the machine")
    if not absolute and segments[0].lower().rstrip(". ") in OWN_NAMES:
        raise InvalidDefinition(
            f'"{segments[0]}" in the database directory belongs to the database; choose another name, such as '
            f'"storages/{segments[0]}"'
        )
    path = ("/" if absolute else "") + "/".join(segments)
    return StorageUri(FILESYSTEM, path, path=path)


def _bucket(type: str, scheme: str, rest: str) -> StorageUri:
    bucket, _, prefix = rest.partition("/")
    if not _BUCKET.match(bucket) or ".." in bucket:
        raise InvalidDefinition(
            f"the URI of a storage of type {type} names a bucket: {scheme}://bucket/prefix; "
            "its name has lower-case letters, digits, hyphens, dots and underscores"
        )
    if "?" in prefix or "#" in prefix or "%" in prefix or not prefix.isascii():
        raise InvalidDefinition("the prefix of a storage has ASCII characters, and none of ? # %")
    segments = _checked(prefix.strip("/"))
    prefix = "/".join(segments)
    return StorageUri(
        type, f"{scheme}://{bucket}" + (f"/{prefix}" if prefix else ""), bucket=bucket, prefix=prefix
    )


def _checked(path: str) -> list[str]:
    segments = path.split("/") if path else []
    for segment in segments:
        if segment.strip(" ") in ("", ".", ".."):
            raise InvalidDefinition("the URI of a storage has no empty segments, and none that are . or ..")
        if segment != segment.strip(" "):
            raise InvalidDefinition("a segment of the URI of a storage has no blanks at its ends")
        if len(segment.encode("utf-8", "surrogatepass")) > 255:
            raise InvalidDefinition("a segment of the URI of a storage has up to 255 bytes")
    return segments


def _segments(path: str) -> list[str]:
    return [segment for segment in path.split("/") if segment]


def is_within(path: str, root: str) -> bool:
    """Whether an absolute path is the directory `root` or lies in it, by name."""
    mine, theirs = _segments(path), _segments(root)
    return mine[: len(theirs)] == theirs

"""Path templates: where in a storage the files of a table, or of one user's partition of it, lie.

`{namespace}/{tableName}/{userId}` becomes `app/notes/alice`. Two partitions never share a path, nor does one lie in
another's, also where the storage's names know no upper and lower case: what makes a path is encoded so that different
names stay different, and a template whose paths could meet is refused when it is given.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from kalamdb.errors import InvalidDefinition

SHARED_DEFAULT = "{namespace}/{tableName}"
USER_DEFAULT = "{namespace}/{tableName}/{userId}"
TEMPLATE_LENGTH_MAX = 500
LITERAL_LENGTH_MAX = 50
"""In one segment; with a variable of up to 200 bytes it stays below the 255 that file systems allow."""
ENCODED_BYTES_MAX = 200
KEPT_BYTES = 80

_VARIABLES = ("namespace", "tableName", "shard", "userId")
_PART = re.compile(r"\{([^{}]*)\}|([^{}]+)")
_LITERAL = re.compile(r"[A-Za-z0-9_.=-]+\Z")
_SAFE = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789_-.")
_PLAIN = re.compile(r"[a-z0-9_-](?:[a-z0-9_.-]{0,198}[a-z0-9_-])?\Z")
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|\Z)")


@dataclass(frozen=True, slots=True)
class _Segment:
    """What stands between two `/`: literal text, with at most one variable in it."""

    before: str
    variable: str | None
    after: str

    def may_equal(self, other: _Segment) -> bool:
        """Whether some values of the variables make the two the same, in a storage that knows no case."""
        a, b, c, d = (text.lower() for text in (self.before, self.after, other.before, other.after))
        if self.variable is None and other.variable is None:
            return a == c
        if self.variable is None:
            return a.startswith(c) and a.endswith(d) and len(a) > len(c) + len(d)
        if other.variable is None:
            return other.may_equal(self)
        return (a.startswith(c) or c.startswith(a)) and (b.endswith(d) or d.endswith(b))


@dataclass(frozen=True, slots=True)
class PathTemplate:
    """A checked template. `text`: as it was given."""

    text: str
    segments: tuple[_Segment, ...]

    def render(self, namespace: str, table: str, user_id: str | None = None) -> str:
        """The folder of a partition, without a `/` at its end. `user_id`: for a user template, and for it alone."""
        values = {"namespace": encode_name(namespace), "tableName": encode_name(table)}
        if user_id is not None:
            values |= {"userId": encode_name(user_id), "shard": shard_of(user_id)}
        return "/".join(
            segment.before + (values[segment.variable] if segment.variable else "") + segment.after
            for segment in self.segments
        )

    @property
    def is_of_users(self) -> bool:
        """Whether it is for USER tables."""
        return any(segment.variable == "userId" for segment in self.segments)


@functools.lru_cache(maxsize=256)
def parse_template(text: str, *, of_users: bool) -> PathTemplate:
    """Raises InvalidDefinition, which says what the template can be."""
    option = "USER_TABLES_TEMPLATE" if of_users else "SHARED_TABLES_TEMPLATE"
    if not text or len(text) > TEMPLATE_LENGTH_MAX:
        raise InvalidDefinition(f"{option} has 1 to {TEMPLATE_LENGTH_MAX} characters")
    segments = tuple(_segment(segment, option) for segment in text.split("/"))
    found = [segment.variable for segment in segments if segment.variable is not None]
    wanted = ["namespace", "tableName", *(["userId"] if of_users else [])]
    for variable in wanted:
        if variable not in found:
            raise InvalidDefinition(f"{option} lacks {{{variable}}}; for instance: {_example(of_users)}")
    for variable in found:
        if found.count(variable) > 1:
            raise InvalidDefinition(f"{option} has {{{variable}}} twice; say it once")
        if not of_users and variable in ("userId", "shard"):
            raise InvalidDefinition(
                f"{option} has {{{variable}}}, but the rows of a SHARED table are of no user; leave it out"
            )
    if found != [variable for variable in _VARIABLES if variable in found]:
        raise InvalidDefinition(
            f"{option} has its variables in the order {{namespace}}, {{tableName}}, {{shard}}, {{userId}}; "
            f"for instance: {_example(of_users)}"
        )
    return PathTemplate(text, segments)


def _example(of_users: bool) -> str:
    return USER_DEFAULT if of_users else SHARED_DEFAULT


def _segment(text: str, option: str) -> _Segment:
    if not text:
        raise InvalidDefinition(f"{option} has no / at its ends and no two in a row")
    before = after = ""
    variable: str | None = None
    at = 0
    while at < len(text):
        match = _PART.match(text, at)
        if match is None:
            raise InvalidDefinition(f"{option} has a brace that does not belong to a variable; leave it out")
        at = match.end()
        if match[2] is None:
            if match[1] not in _VARIABLES:
                raise InvalidDefinition(
                    f"{option} has an unknown variable; there are {', '.join(f'{{{name}}}' for name in _VARIABLES)}"
                )
            if variable is not None:
                raise InvalidDefinition(
                    f"{option} has two variables without a / between them, so that paths could meet; put one there"
                )
            variable = match[1]
        else:
            if not _LITERAL.match(match[2]):
                raise InvalidDefinition(
                    f"{option} has, beside its variables, letters of ASCII, digits and _ - . = alone"
                )
            if variable is None:
                before += match[2]
            else:
                after += match[2]
    if len(before) + len(after) > LITERAL_LENGTH_MAX:
        raise InvalidDefinition(f"{option} has up to {LITERAL_LENGTH_MAX} characters of text between two /")
    if variable is None and (before.strip(".") == "" or before.endswith(".")):
        raise InvalidDefinition(f"{option} has no segments that are . or .. or end in a dot")
    if after.endswith("."):
        raise InvalidDefinition(f"{option} has no segments that end in a dot")
    return _Segment(before, variable, after)


def check_apart(shared: PathTemplate, user: PathTemplate) -> None:
    """Raises InvalidDefinition where a SHARED table's folder could be, or hold, one of a USER table, or the other way
    round."""
    for one, other in zip(shared.segments, user.segments):
        if not one.may_equal(other):
            return
    # They can begin alike. With each variable in the same place in both, only the folders of one and the same table
    # do.
    places = [
        {segment.variable: (number, segment) for number, segment in enumerate(template.segments)}
        for template in (shared, user)
    ]
    if all(places[0][variable] == places[1][variable] for variable in ("namespace", "tableName")):
        return
    raise InvalidDefinition(
        f"SHARED_TABLES_TEMPLATE {shared.text} and USER_TABLES_TEMPLATE {user.text} could give two tables one folder; "
        "begin them alike, or with different text"
    )


def encode_name(name: str) -> str:
    """A name as one segment of a path: different for different names, also without regard to case.

    Letters a to z, digits, `_`, `-` and inner dots stand for themselves; every other byte of the UTF-8 is `%` and
    two hex digits. What gets longer than 200 bytes is cut to 80, `~`, and 32 hex digits of a hash of the whole
    name.
    """
    if _PLAIN.match(name) and not _RESERVED.match(name):
        return name
    data = name.encode("utf-8", "surrogatepass")
    # A dot at an end is hidden, or dropped, or means a folder above.
    last = len(data) - 1
    encoded = "".join(
        chr(byte) if byte in _SAFE and not (byte == 0x2E and number in (0, last)) else f"%{byte:02X}"
        for number, byte in enumerate(data)
    )
    if _RESERVED.match(encoded):
        encoded = f"%{data[0]:02X}{encoded[1:]}"
    if len(encoded) > ENCODED_BYTES_MAX:
        return f"{encoded[:KEPT_BYTES]}~{_digest(data)}"
    return encoded


def shard_of(user_id: str) -> str:
    """The two hex digits of `{shard}`: the first of the hash of the user's name."""
    return _digest(user_id.encode("utf-8", "surrogatepass"))[:2]


def _digest(data: bytes) -> str:
    import hashlib

    return hashlib.blake2b(data, digest_size=16).hexdigest()

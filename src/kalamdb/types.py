"""SQL types: their names, their place in Arrow and in the core, and which Python values they take."""

from __future__ import annotations

import datetime
import decimal
import enum
import functools
import math
import re
import struct
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kalamdb.errors import InvalidDefinition, InvalidValue, NumericOutOfRange, TypeMismatch, ValueTooLong

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa


class TypeName(enum.Enum):
    """The canonical SQL names; the value is the core's type code (kalamcore.rows)."""

    BOOLEAN = 1
    SMALLINT = 2
    INT = 3
    BIGINT = 4
    FLOAT = 5
    DOUBLE = 6
    DECIMAL = 7
    TEXT = 8
    BYTES = 9
    TIMESTAMP = 10
    DATE = 11
    TIME = 12
    UUID = 13
    JSON = 14


@dataclass(frozen=True, slots=True)
class DataType:
    """One SQL type. `length` in characters (TEXT only), `precision` and `scale` in digits (DECIMAL only).

    `declared_int`: a BIGINT that was asked for as INT, which the profile kalamdb-0.4 tells its clients; it makes no
    other difference.
    """

    name: TypeName
    length: int | None = None
    precision: int | None = None
    scale: int | None = None
    declared_int: bool = field(default=False, compare=False)

    def __str__(self) -> str:
        if self.name is TypeName.DECIMAL:
            return f"DECIMAL({self.precision},{self.scale})"
        if self.length is not None:
            return f"VARCHAR({self.length})"
        return self.name.name

    @property
    def code(self) -> int:
        """The core's type code."""
        return self.name.value

    @property
    def parameters(self) -> tuple[int, int]:
        """The core's two parameters of the type."""
        if self.name is TypeName.DECIMAL:
            return self.precision or 0, self.scale or 0
        return self.length or 0, 0


BOOLEAN = DataType(TypeName.BOOLEAN)
SMALLINT = DataType(TypeName.SMALLINT)
INT = DataType(TypeName.INT)
BIGINT = DataType(TypeName.BIGINT)
FLOAT = DataType(TypeName.FLOAT)
DOUBLE = DataType(TypeName.DOUBLE)
TEXT = DataType(TypeName.TEXT)
BYTES = DataType(TypeName.BYTES)
TIMESTAMP = DataType(TypeName.TIMESTAMP)
DATE = DataType(TypeName.DATE)
TIME = DataType(TypeName.TIME)
UUID = DataType(TypeName.UUID)
JSON = DataType(TypeName.JSON)

PRECISION_MAX = 38
VARCHAR_LENGTH_MAX = 10_485_760
_PRECISION_UNSAID, _SCALE_UNSAID = 38, 10

_NAMES: dict[str, DataType] = {
    "BOOLEAN": BOOLEAN,
    "BOOL": BOOLEAN,
    "SMALLINT": SMALLINT,
    "INT2": SMALLINT,
    "INT": INT,
    "INTEGER": INT,
    "INT4": INT,
    "BIGINT": BIGINT,
    "INT8": BIGINT,
    "FLOAT": FLOAT,
    "REAL": FLOAT,
    "FLOAT4": FLOAT,
    "DOUBLE": DOUBLE,
    "DOUBLE PRECISION": DOUBLE,
    "FLOAT8": DOUBLE,
    "DECIMAL": DataType(TypeName.DECIMAL, precision=_PRECISION_UNSAID, scale=_SCALE_UNSAID),
    "NUMERIC": DataType(TypeName.DECIMAL, precision=_PRECISION_UNSAID, scale=_SCALE_UNSAID),
    "TEXT": TEXT,
    "STRING": TEXT,
    "VARCHAR": TEXT,
    "CHAR": TEXT,
    "CHARACTER": TEXT,
    "CHARACTER VARYING": TEXT,
    "BYTES": BYTES,
    "BYTEA": BYTES,
    "BLOB": BYTES,
    "BINARY": BYTES,
    "TIMESTAMP": TIMESTAMP,
    "DATETIME": TIMESTAMP,
    "TIMESTAMPTZ": TIMESTAMP,
    "TIMESTAMP WITH TIME ZONE": TIMESTAMP,
    "TIMESTAMP WITHOUT TIME ZONE": TIMESTAMP,
    "DATE": DATE,
    "TIME": TIME,
    "UUID": UUID,
    "JSON": JSON,
    "JSONB": JSON,
}
_TAKE_A_LENGTH = frozenset({"VARCHAR", "CHAR", "CHARACTER", "CHARACTER VARYING"})
TYPE_WORDS: frozenset[str] = frozenset(_NAMES)
"""Every spelling `parse_type` takes, in upper case, one blank between words."""


def parse_type(name: str, arguments: tuple[int, ...] = ()) -> DataType:
    """The type that `name(arguments)` means, in any letter case. Raises InvalidDefinition."""
    word = " ".join(name.upper().split())
    if word in ("EMBEDDING", "VECTOR"):
        raise InvalidDefinition(f"type {word} is not offered yet; store the numbers as JSON or BYTES")
    found = _NAMES.get(word)
    if found is None:
        raise InvalidDefinition(f'type "{name.lower()}" does not exist')
    if not arguments:
        return found
    if found.name is TypeName.DECIMAL:
        return _decimal_type(word, arguments)
    if word in _TAKE_A_LENGTH and len(arguments) == 1:
        (length,) = arguments
        if not 1 <= length <= VARCHAR_LENGTH_MAX:
            raise InvalidDefinition(
                f"length {length} of {word} is out of range; it can be 1 to {VARCHAR_LENGTH_MAX} characters"
            )
        return DataType(TypeName.TEXT, length=length)
    given = ", ".join(map(str, arguments))
    raise InvalidDefinition(f"type {word} does not take ({given}); write {word} without it")


def _decimal_type(word: str, arguments: tuple[int, ...]) -> DataType:
    if len(arguments) > 2:
        raise InvalidDefinition(f"type {word} takes a precision and a scale, as {word}(10,2)")
    precision = arguments[0]
    scale = arguments[1] if len(arguments) == 2 else 0
    if not 1 <= precision <= PRECISION_MAX:
        raise InvalidDefinition(
            f"precision {precision} of {word} is out of range; it can be 1 to {PRECISION_MAX}"
        )
    if not 0 <= scale <= precision:
        raise InvalidDefinition(
            f"scale {scale} of {word} is out of range; it can be 0 to the precision, {precision}"
        )
    return DataType(TypeName.DECIMAL, precision=precision, scale=scale)


_INTEGER_DIGITS = {TypeName.SMALLINT: 5, TypeName.INT: 10, TypeName.BIGINT: 19}


def is_wider(from_: DataType, to: DataType) -> bool:
    """Whether every value of `from_` is one of `to`, so that ALTER COLUMN … TYPE may take it there.

    True also of a type and itself. SMALLINT to INT to BIGINT; integers to a DECIMAL with room for them;
    SMALLINT, INT and FLOAT to DOUBLE; a longer VARCHAR or TEXT; a DECIMAL with no fewer digits on either side
    of the point; DATE to TIMESTAMP; JSON to TEXT.
    """
    if from_ == to:
        return True
    digits = _INTEGER_DIGITS.get(from_.name)
    room = (to.precision or 0) - (to.scale or 0)
    match to.name:
        case TypeName.TEXT if from_.name is TypeName.TEXT:
            return to.length is None or (from_.length is not None and from_.length <= to.length)
        case TypeName.TEXT:
            return from_.name is TypeName.JSON and to.length is None
        case TypeName.INT | TypeName.BIGINT:
            return digits is not None and digits < _INTEGER_DIGITS[to.name]
        case TypeName.DOUBLE:
            return from_.name in (TypeName.SMALLINT, TypeName.INT, TypeName.FLOAT)
        case TypeName.DECIMAL if from_.name is TypeName.DECIMAL:
            room_before = (from_.precision or 0) - (from_.scale or 0)
            return (to.scale or 0) >= (from_.scale or 0) and room >= room_before
        case TypeName.DECIMAL:
            return digits is not None and room >= digits
        case TypeName.TIMESTAMP:
            return from_.name is TypeName.DATE
        case _:
            return False


# ---- Python values -----------------------------------------------------------------------------------------

_UTC = datetime.UTC
_BLANKS = " \t\n\r\f\v"
_INTEGER = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NOT_A_NUMBER = re.compile(r"[+-]?(?:nan|inf|infinity)", re.IGNORECASE)
_DATE = re.compile(r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})")
_CLOCK = r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]+))?)?"
_TIME = re.compile(_CLOCK)
_TIMESTAMP = re.compile(
    r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})"
    rf"(?:[Tt ]{_CLOCK}[ ]?(?:([Zz])|UTC|([+-])([0-9]{{1,2}})(?::?([0-9]{{2}})(?::?([0-9]{{2}}))?)?)?)?"
)
_UUID = re.compile(r"[0-9a-f]{8}(-?)[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{12}", re.IGNORECASE)
_TRUE = frozenset({"true", "t", "yes", "y", "on", "1"})
_FALSE = frozenset({"false", "f", "no", "n", "off", "0"})
# Longer texts than this are no number of any type; it also keeps int() away from its own limit of digits.
_NUMBER_CHARACTERS_MAX = 1000

_WORDS_FOR_PYTHON = (
    (bool, "BOOLEAN"),
    (int, "BIGINT"),
    (float, "DOUBLE"),
    (decimal.Decimal, "DECIMAL"),
    (str, "TEXT"),
    (bytes, "BYTES"),
    (bytearray, "BYTES"),
    (memoryview, "BYTES"),
    (datetime.datetime, "TIMESTAMP"),
    (datetime.date, "DATE"),
    (datetime.time, "TIME"),
    (uuid.UUID, "UUID"),
    (dict, "JSON"),
    (list, "JSON"),
)


def _shown(value: object) -> str:
    """A value for a message, in at most about 60 characters."""
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 512:
        return f"a number of {value.bit_length()} bits"
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _mismatch(value: object, to: DataType) -> TypeMismatch:
    word = next((word for kind, word in _WORDS_FOR_PYTHON if isinstance(value, kind)), type(value).__name__)
    if to.name is TypeName.BYTES and isinstance(value, str):
        return TypeMismatch("a value of type TEXT does not fit BYTES; write it as X'…', or give Python bytes")
    if word.isupper():
        return TypeMismatch(
            f"a value of type {word} ({_shown(value)}) does not fit {to}; convert it with CAST(… AS {to})"
        )
    return TypeMismatch(f"a Python value of type {word} does not fit {to}")


def _out_of_range(value: object, to: DataType) -> NumericOutOfRange:
    return NumericOutOfRange(f"value {_shown(value)} is out of range for {to}")


def _invalid(value: object, to: DataType) -> InvalidValue:
    shown = _shown(value).encode("utf-8", "backslashreplace").decode()
    return InvalidValue(f'invalid value for {to}: "{shown}"')


def coerce(value: object, to: DataType) -> object:
    """The value as exactly the Python type that the core's Layout takes for `to`; None stays None.

    Lossless where types differ: an integer fits FLOAT, DOUBLE and DECIMAL; a float or Decimal never fits an
    integer type; text is read strictly. A Decimal or float for DECIMAL is rounded to its scale, half away
    from zero; a FLOAT to its 32 bits; a TIMESTAMP is aware, in UTC. A Python str for JSON is JSON text; dict,
    list, bool and numbers are written as JSON. Raises TypeMismatch, NumericOutOfRange, InvalidValue,
    ValueTooLong.
    """
    if value is None:
        return None
    return _COERCIONS[to.name._value_](value, to)


def _plain(value: object) -> object:
    """Values of NumPy, pandas and Arrow, and of subclasses, as the Python values they stand for; others
    unchanged.
    """
    kind = type(value)
    module = kind.__module__.partition(".")[0]
    if module == "pandas" and kind.__name__ in ("NaTType", "NAType"):
        return None
    if module == "numpy" and hasattr(value, "item"):
        if kind.__name__ == "datetime64":
            # Finer units than microseconds come out of item() as integers.
            value = value.astype("datetime64[us]")  # type: ignore[attr-defined]
        return value.item()
    if module == "pyarrow" and hasattr(value, "as_py"):
        return value.as_py()
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, datetime.datetime):
        v = value
        return datetime.datetime(
            v.year, v.month, v.day, v.hour, v.minute, v.second, v.microsecond, v.tzinfo, fold=v.fold
        )
    if isinstance(value, datetime.date):
        return datetime.date(value.year, value.month, value.day)
    return value


_EXACT = frozenset(
    {
        bool,
        int,
        float,
        decimal.Decimal,
        str,
        bytes,
        datetime.datetime,
        datetime.date,
        datetime.time,
        uuid.UUID,
    }
)


def _again(value: object, to: DataType) -> object:
    """Tries a value of a foreign type once more, as the plain Python value it stands for."""
    if type(value) not in _EXACT:
        plain = _plain(value)
        if plain is None:
            return None
        if type(plain) is not type(value):
            return coerce(plain, to)
    raise _mismatch(value, to)


def _to_boolean(value: object, to: DataType) -> object:
    if type(value) is bool:
        return value
    if type(value) is str:
        word = value.strip(_BLANKS).lower()
        if word in _TRUE:
            return True
        if word in _FALSE:
            return False
        raise _invalid(value, to)
    return _again(value, to)


def _integer_coercion(bits: int) -> Callable[[object, DataType], object]:
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1

    def to_integer(value: object, to: DataType) -> object:
        if type(value) is int:
            if low <= value <= high:
                return value
            raise _out_of_range(value, to)
        if type(value) is str:
            digits = value.strip(_BLANKS)
            if not _INTEGER.fullmatch(digits):
                raise _invalid(value, to)
            if len(digits) > _NUMBER_CHARACTERS_MAX:
                raise _out_of_range(value, to)
            return to_integer(int(digits), to)
        return _again(value, to)

    return to_integer


def _read_float(value: str, to: DataType) -> float:
    text = value.strip(_BLANKS)
    if _NOT_A_NUMBER.fullmatch(text):
        return float(text)
    if not _NUMBER.fullmatch(text):
        raise _invalid(value, to)
    number = float(text)
    if math.isinf(number):
        raise _out_of_range(value, to)
    return number


def _to_double(value: object, to: DataType) -> object:
    if type(value) is float:
        return value
    if type(value) is int or type(value) is decimal.Decimal:
        try:
            number = float(value)
        except OverflowError:
            raise _out_of_range(value, to) from None
        except ValueError:  # a signalling NaN
            raise _invalid(value, to) from None
        if math.isinf(number) and type(value) is decimal.Decimal and value.is_finite():
            raise _out_of_range(value, to)
        return number
    if type(value) is str:
        return _read_float(value, to)
    return _again(value, to)


_FLOAT32 = struct.Struct("<f")


def _to_float(value: object, to: DataType) -> object:
    number = _to_double(value, to)
    if number is None:
        return None
    try:
        return _FLOAT32.unpack(_FLOAT32.pack(number))[0]
    except OverflowError:
        raise _out_of_range(value, to) from None


@functools.lru_cache(maxsize=256)
def _decimal_rules(precision: int, scale: int) -> tuple[decimal.Context, decimal.Decimal]:
    context = decimal.Context(
        prec=precision,
        rounding=decimal.ROUND_HALF_UP,
        Emin=-999_999,
        Emax=999_999,
        traps=[decimal.InvalidOperation],
    )
    return context, decimal.Decimal((0, (1,), -scale))


def _to_decimal(value: object, to: DataType) -> object:
    kind = type(value)
    if kind is decimal.Decimal:
        number: decimal.Decimal = value  # type: ignore[assignment]
    elif kind is int:
        if value.bit_length() > 128:  # type: ignore[attr-defined]
            raise _out_of_range(value, to)
        number = decimal.Decimal(value)  # type: ignore[arg-type]
    elif kind is float:
        number = decimal.Decimal(repr(value))
    elif kind is str:
        text = value.strip(_BLANKS)  # type: ignore[attr-defined]
        if len(text) > _NUMBER_CHARACTERS_MAX or not _NUMBER.fullmatch(text):
            raise _invalid(value, to)
        try:
            number = decimal.Decimal(text)
        except decimal.InvalidOperation:  # an exponent beyond what even Decimal holds
            raise _out_of_range(value, to) from None
    else:
        return _again(value, to)
    if not number.is_finite():
        raise _invalid(value, to)
    context, unit = _decimal_rules(to.precision or PRECISION_MAX, to.scale or 0)
    try:
        return context.quantize(number, unit)
    except decimal.InvalidOperation:
        raise _out_of_range(value, to) from None


def _check_unicode(value: str, to: DataType) -> None:
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise InvalidValue(
                f"invalid value for {to}: character {error.start} is a lone surrogate, no valid Unicode"
            ) from None


def _to_text(value: object, to: DataType) -> object:
    if type(value) is str:
        _check_unicode(value, to)
        if to.length is not None and len(value) > to.length:
            raise ValueTooLong(f"value too long for {to}: it has {len(value)} characters")
        return value
    return _again(value, to)


def _to_bytes(value: object, to: DataType) -> object:
    if type(value) is bytes:
        return value
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    return _again(value, to)


def _microseconds(fraction: str | None) -> int:
    """Digits after the point as microseconds; finer ones are cut off."""
    return int(fraction[:6].ljust(6, "0")) if fraction else 0


def _read_timestamp(value: str, to: DataType) -> datetime.datetime:
    match = _TIMESTAMP.fullmatch(value.strip(_BLANKS))
    if match is None:
        raise _invalid(value, to)
    year, month, day, hour, minute, second, fraction, _, sign, off_h, off_m, off_s = match.groups()
    try:
        moment = datetime.datetime(
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0),
            _microseconds(fraction), _UTC,
        )  # fmt: skip
        if sign is None:
            return moment
        hours, minutes, seconds = int(off_h), int(off_m or 0), int(off_s or 0)
        if hours > 15 or minutes > 59 or seconds > 59:
            raise ValueError
        offset = datetime.timedelta(hours=hours, minutes=minutes, seconds=seconds)
        return moment - offset if sign == "+" else moment + offset
    except (ValueError, OverflowError):
        raise _invalid(value, to) from None


def _to_timestamp(value: object, to: DataType) -> object:
    kind = type(value)
    if kind is datetime.datetime:
        moment: datetime.datetime = value  # type: ignore[assignment]
        zone = moment.tzinfo
        if zone is _UTC:
            return moment
        if zone is None:
            return moment.replace(tzinfo=_UTC)
        try:
            return moment.astimezone(_UTC)
        except OverflowError:
            raise _out_of_range(value, to) from None
    if kind is datetime.date:
        return datetime.datetime(value.year, value.month, value.day, tzinfo=_UTC)  # type: ignore[attr-defined]
    if kind is str:
        return _read_timestamp(value, to)  # type: ignore[arg-type]
    return _again(value, to)


def _to_date(value: object, to: DataType) -> object:
    kind = type(value)
    if kind is datetime.date:
        return value
    if kind is datetime.datetime:
        moment: Any = _to_timestamp(value, to)
        if moment.time() != datetime.time():
            raise TypeMismatch(
                f"a TIMESTAMP ({_shown(value)}) that is not midnight UTC does not fit DATE; CAST it"
            )
        return moment.date()
    if kind is str:
        match = _DATE.fullmatch(value.strip(_BLANKS))  # type: ignore[attr-defined]
        if match is None:
            raise _invalid(value, to)
        try:
            return datetime.date(*map(int, match.groups()))
        except ValueError:
            raise _invalid(value, to) from None
    return _again(value, to)


def _to_time(value: object, to: DataType) -> object:
    kind = type(value)
    if kind is datetime.time:
        if value.tzinfo is not None:  # type: ignore[attr-defined]
            raise TypeMismatch(
                f"a time with a time zone ({_shown(value)}) does not fit TIME; leave the zone out"
            )
        return value
    if kind is str:
        match = _TIME.fullmatch(value.strip(_BLANKS))  # type: ignore[attr-defined]
        if match is None:
            raise _invalid(value, to)
        hour, minute, second, fraction = match.groups()
        try:
            return datetime.time(int(hour), int(minute), int(second or 0), _microseconds(fraction))
        except ValueError:
            raise _invalid(value, to) from None
    return _again(value, to)


def _to_uuid(value: object, to: DataType) -> object:
    kind = type(value)
    if kind is uuid.UUID:
        return value
    if kind is str:
        text = value.strip(_BLANKS)  # type: ignore[attr-defined]
        if not _UUID.fullmatch(text):
            raise _invalid(value, to)
        return uuid.UUID(text)
    if kind is bytes:
        if len(value) != 16:  # type: ignore[arg-type]
            raise _invalid(value.hex(), to)  # type: ignore[attr-defined]
        return uuid.UUID(bytes=value)  # type: ignore[arg-type]
    return _again(value, to)


def _holds_no_number(value: object) -> bool:
    """Whether a NaN or an infinity is anywhere in a JSON value."""
    if isinstance(value, float):
        return not math.isfinite(value)
    if isinstance(value, dict):
        return any(map(_holds_no_number, value.values()))
    if isinstance(value, (list, tuple)):
        return any(map(_holds_no_number, value))
    return False


def _to_json(value: object, to: DataType) -> object:
    import orjson

    if type(value) is str:
        try:
            orjson.loads(value)
        except orjson.JSONDecodeError:
            raise _invalid(value, to) from None
        return value
    if isinstance(value, (dict, list, tuple, bool, int, float)):
        try:
            text = orjson.dumps(value).decode()
        except (TypeError, orjson.JSONEncodeError) as error:
            raise InvalidValue(f"invalid value for {to}: {error}") from None
        # orjson writes NaN and the infinities as null.
        if "null" in text and _holds_no_number(value):
            raise InvalidValue(f"invalid value for {to}: NaN and Infinity are not JSON")
        return text
    if type(value) is decimal.Decimal:
        if not value.is_finite():
            raise InvalidValue(f"invalid value for {to}: NaN and Infinity are not JSON")
        return _json_number(value)
    return _again(value, to)


def _json_number(value: decimal.Decimal) -> str:
    return str(value).replace("E+", "e").replace("E", "e")


# By type code, so that a coercion is one index away: hashing an enum member costs more than the check itself.
_COERCIONS: tuple[Callable[[object, DataType], object], ...] = (
    _again,  # no type has the code 0
    _to_boolean,
    _integer_coercion(16),
    _integer_coercion(32),
    _integer_coercion(64),
    _to_float,
    _to_double,
    _to_decimal,
    _to_text,
    _to_bytes,
    _to_timestamp,
    _to_date,
    _to_time,
    _to_uuid,
    _to_json,
)

# ---- Arrow -------------------------------------------------------------------------------------------------

TYPE_METADATA = b"kalam.type"
"""The field metadata that tells a type which Arrow's own does not: `uuid`, `json`, `varchar(n)`; `int` for a BIGINT
that was declared so."""


def arrow_type(of: DataType) -> pa.DataType:
    """The canonical Arrow type, as the core reads and writes it."""
    import pyarrow as pa

    match of.name:
        case TypeName.BOOLEAN:
            return pa.bool_()
        case TypeName.SMALLINT:
            return pa.int16()
        case TypeName.INT:
            return pa.int32()
        case TypeName.BIGINT:
            return pa.int64()
        case TypeName.FLOAT:
            return pa.float32()
        case TypeName.DOUBLE:
            return pa.float64()
        case TypeName.DECIMAL:
            return pa.decimal128(of.precision or PRECISION_MAX, of.scale or 0)
        case TypeName.TEXT | TypeName.JSON:
            return pa.string()
        case TypeName.BYTES:
            return pa.binary()
        case TypeName.TIMESTAMP:
            return pa.timestamp("us", "UTC")
        case TypeName.DATE:
            return pa.date32()
        case TypeName.TIME:
            return pa.time64("us")
        case TypeName.UUID:
            return pa.binary(16)


def query_type(of: DataType) -> pa.DataType:
    """The Arrow type that a SELECT sees: as canonical, but UUID is text."""
    import pyarrow as pa

    return pa.string() if of.name is TypeName.UUID else arrow_type(of)


def query_field(name: str, of: DataType, nullable: bool = True) -> pa.Field:
    """A column as a SELECT sees it, with metadata that tells UUID, JSON and VARCHAR(n) from plain text."""
    import pyarrow as pa

    told = of.name in (TypeName.UUID, TypeName.JSON) or of.length is not None
    metadata = {TYPE_METADATA: str(of).lower().encode()} if told else None
    if of.declared_int:
        metadata = {TYPE_METADATA: _DECLARED_INT}
    return pa.field(name, query_type(of), nullable, metadata)


_DECLARED_INT = b"int"
_TOLD = re.compile(r"(uuid|json|varchar)(?:\(([0-9]+)\))?")


def type_of_arrow(field: pa.Field) -> DataType:
    """The SQL type of an Arrow column: by its metadata, else by its Arrow type.

    Unsigned integers are BIGINT, an untyped NULL is TEXT, lists, structs and maps are JSON, intervals TEXT.
    Raises TypeMismatch for what has no SQL type.
    """
    import pyarrow.types as at

    type_: Any = field.type
    if at.is_dictionary(type_) or at.is_run_end_encoded(type_):
        type_ = type_.value_type
    told = _TOLD.fullmatch((field.metadata or {}).get(TYPE_METADATA, b"").decode("ascii", "replace"))
    if told is not None and _is_text(type_):
        return parse_type(told[1], (int(told[2]),) if told[2] else ())
    if at.is_boolean(type_):
        return BOOLEAN
    if at.is_int8(type_) or at.is_int16(type_):
        return SMALLINT
    if at.is_int32(type_):
        return INT
    if at.is_integer(type_):
        declared_int = (field.metadata or {}).get(TYPE_METADATA) == _DECLARED_INT
        return DataType(TypeName.BIGINT, declared_int=True) if declared_int else BIGINT
    if at.is_float16(type_) or at.is_float32(type_):
        return FLOAT
    if at.is_float64(type_):
        return DOUBLE
    if at.is_decimal(type_) and type_.precision <= PRECISION_MAX and 0 <= type_.scale <= type_.precision:
        return DataType(TypeName.DECIMAL, precision=type_.precision, scale=type_.scale)
    if _is_text(type_) or at.is_null(type_) or at.is_interval(type_) or at.is_duration(type_):
        return TEXT
    if _is_binary(type_):
        return BYTES
    if at.is_timestamp(type_):
        return TIMESTAMP
    if at.is_date(type_):
        return DATE
    if at.is_time(type_):
        return TIME
    if at.is_nested(type_) and not at.is_union(type_):
        return JSON
    match getattr(type_, "extension_name", None):
        case "arrow.uuid":
            return UUID
        case "arrow.json":
            return JSON
        case "arrow.bool8":
            return BOOLEAN
    raise TypeMismatch(
        f'column "{field.name}" has the Arrow type {type_}, which has no SQL type; cast it first'
    )


def _is_text(type_: pa.DataType) -> bool:
    import pyarrow.types as at

    return bool(at.is_string(type_) or at.is_large_string(type_) or at.is_string_view(type_))


def _is_binary(type_: pa.DataType) -> bool:
    import pyarrow.types as at

    return bool(
        at.is_binary(type_)
        or at.is_large_binary(type_)
        or at.is_fixed_size_binary(type_)
        or at.is_binary_view(type_)
    )


def cast_arrow(column: pa.Array | pa.ChunkedArray, to: DataType) -> pa.Array | pa.ChunkedArray:
    """An Arrow column as the canonical type of `to`, by the rules of `coerce`; chunks stay chunks.

    Types that Arrow converts by the same rules are converted without a Python object per cell. Raises as
    `coerce`.
    """
    import pyarrow as pa

    if isinstance(column, pa.ChunkedArray):
        return pa.chunked_array([cast_arrow(chunk, to) for chunk in column.chunks], arrow_type(to))
    array = _decoded(column)
    try:
        fast = _cast_by_arrow(array, to)
    except pa.ArrowInvalid:
        # Some value does not fit: go through them one by one for the message that names it.
        fast = None
    if fast is not None:
        return fast
    return _cast_by_value(array, to)


def _decoded(array: pa.Array) -> pa.Array:
    """Without dictionary, run-end or extension encoding."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.types as at

    if isinstance(array.type, pa.BaseExtensionType):
        if getattr(array.type, "extension_name", "") == "arrow.bool8":
            return array.storage.cast(pa.bool_())
        array = array.storage
    if at.is_dictionary(array.type):
        array = array.dictionary_decode()
    if at.is_run_end_encoded(array.type):
        array = pc.run_end_decode(array)
    return array


def _cast_by_value(array: pa.Array, to: DataType) -> pa.Array:
    import pyarrow as pa

    values = [coerce(value, to) for value in array.to_pylist()]
    if to.name is TypeName.UUID:
        values = [None if value is None else value.bytes for value in values]  # type: ignore[attr-defined]
    return pa.array(values, arrow_type(to))


def _cast_by_arrow(array: pa.Array, to: DataType) -> pa.Array | None:
    """The column where Arrow's own conversion does what `coerce` does; None where it does not."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.types as at

    from_, target = array.type, arrow_type(to)
    if at.is_null(from_):
        return pa.nulls(len(array), target)
    match to.name:
        case TypeName.SMALLINT | TypeName.INT | TypeName.BIGINT if at.is_integer(from_):
            return array.cast(target)
        case TypeName.BOOLEAN if at.is_boolean(from_):
            return array
        case TypeName.DOUBLE if at.is_floating(from_):
            return array.cast(target)
        case TypeName.FLOAT if at.is_floating(from_):
            narrow = array.cast(target)
            overflowed = pc.and_(pc.is_inf(narrow), pc.invert(pc.is_inf(array)))
            return None if pc.any(overflowed).as_py() else narrow
        case TypeName.FLOAT | TypeName.DOUBLE if at.is_integer(from_):
            return array.cast(target, safe=False)
        case TypeName.DECIMAL if at.is_integer(from_):
            # Through digits enough for any 64-bit integer: Arrow asks for them even where the values are
            # small.
            return array.cast(pa.decimal256(20 + (to.scale or 0), to.scale or 0)).cast(target)
        case TypeName.DECIMAL if at.is_decimal(from_):
            if from_.scale > (to.scale or 0):
                return None
            return array.cast(target)
        case TypeName.TEXT if _is_text(from_):
            texts = array.cast(target)
            texts.validate(full=True)
            longest = pc.max(pc.utf8_length(texts)).as_py() if to.length is not None else None
            return None if longest is not None and longest > (to.length or 0) else texts
        case TypeName.BYTES if _is_binary(from_):
            return array.cast(target)
        case TypeName.TIMESTAMP if at.is_timestamp(from_) or at.is_date(from_):
            return _timestamps(array)
        case TypeName.DATE if at.is_date32(from_):
            return _within_years(array, to)
        case TypeName.DATE if at.is_date64(from_) or at.is_timestamp(from_):
            moments = _timestamps(array)
            days = moments.cast(pa.date32(), safe=False)
            return days if days.cast(moments.type).equals(moments) else _cast_by_value(moments, to)
        case TypeName.TIME if at.is_time(from_):
            return array.cast(target, safe=False)
        case TypeName.UUID if at.is_fixed_size_binary(from_) and from_.byte_width == 16:
            return array
    return None


# The years that Python's and ISO 8601's four digits can write: 0001-01-01 up to 9999-12-31.
_FIRST_US, _LAST_US = -62_135_596_800_000_000, 253_402_300_799_999_999
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896


def _timestamps(array: pa.Array) -> pa.Array:
    """Dates and timestamps of any unit as microseconds, UTC; finer units are cut off towards the past."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.types as at

    if at.is_timestamp(array.type) and array.type.unit == "ns":
        zoneless = array.cast(pa.timestamp("ns"), safe=False) if array.type.tz else array
        array = pc.floor_temporal(zoneless, unit="microsecond")
    try:
        if at.is_date(array.type):
            array = array.cast(pa.timestamp("us"))
        array = array.cast(pa.timestamp("us", "UTC"))
    except pa.ArrowInvalid:
        raise NumericOutOfRange("a timestamp is out of range for TIMESTAMP: years 1 to 9999") from None
    return _within_years(array, TIMESTAMP)


def _within_years(array: pa.Array, to: DataType) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    first, last = (_FIRST_DAY, _LAST_DAY) if to.name is TypeName.DATE else (_FIRST_US, _LAST_US)
    counts = array.view(pa.int32() if to.name is TypeName.DATE else pa.int64())
    bounds = pc.min_max(counts).as_py()
    if bounds["min"] is not None and not (first <= bounds["min"] and bounds["max"] <= last):
        raise NumericOutOfRange(f"a value is out of range for {to}: years 1 to 9999")
    return array

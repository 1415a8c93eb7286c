"""JSON values as parameters."""

import datetime
import decimal
import uuid

import pytest

from kalamdb.protocol import decode_parameter
from kalamdb.types import (
    BIGINT,
    BOOLEAN,
    BYTES,
    DATE,
    DOUBLE,
    INT,
    JSON,
    TEXT,
    TIME,
    TIMESTAMP,
    UUID,
    parse_type,
)

PRICE = parse_type("DECIMAL", (10, 2))
MOMENT = datetime.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("value", "of", "wanted"),
    [
        (1, BIGINT, 1),
        ("9223372036854775807", BIGINT, 2**63 - 1),
        ("-5", INT, -5),
        (1_767_323_045_000_006, TIMESTAMP, MOMENT),
        ("2026-01-02T03:04:05.000006Z", TIMESTAMP, MOMENT),
        ("2026-01-02 05:04:05.000006+02:00", TIMESTAMP, MOMENT),
        (20_455, DATE, datetime.date(2026, 1, 2)),
        ("2026-01-02", DATE, datetime.date(2026, 1, 2)),
        (3_600_000_001, TIME, datetime.time(1, 0, 0, 1)),
        ("01:00:00.000001", TIME, datetime.time(1, 0, 0, 1)),
        ("12.50", PRICE, decimal.Decimal("12.50")),
        (12.5, PRICE, 12.5),
        (1, DOUBLE, 1.0),
        ([0, 255], BYTES, b"\x00\xff"),
        ("12345678-1234-5678-1234-567812345678", UUID, uuid.UUID("12345678-1234-5678-1234-567812345678")),
        ({"a": [1]}, JSON, {"a": [1]}),
        (True, BOOLEAN, True),
        (None, BIGINT, None),
        ("5", TEXT, "5"),
        ("5", None, "5"),
    ],
)
def test_a_value_is_read_as_its_place_takes_it(value, of, wanted) -> None:
    got = decode_parameter(value, of)

    assert got == wanted
    assert type(got) is type(wanted)


@pytest.mark.parametrize(
    ("value", "of"),
    [
        ("five", BIGINT),
        ("5.0", BIGINT),
        (True, BIGINT),
        (10**30, TIMESTAMP),
        ("yesterday", TIMESTAMP),
        (-1, TIME),
        (10**9, DATE),
        ([256], BYTES),
        ([1, "2"], BYTES),
        ("1e5000", PRICE),
        ("no uuid", UUID),
    ],
)
def test_what_is_none_of_it_stays_what_it_is_for_the_statement_to_refuse(value, of) -> None:
    assert decode_parameter(value, of) is value

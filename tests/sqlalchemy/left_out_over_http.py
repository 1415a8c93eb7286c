"""Tests of SQLAlchemy's suite that do not apply over HTTP beside those of left_out.py, each with the reason.

A plugin of pytest."""

from __future__ import annotations

import pytest

from tests.sqlalchemy.left_out import leave_out

UNTYPED = "a parameter whose place has no type, as in SELECT ? and x + ?, is what JSON says: here text"
LEFT_OUT_OVER_HTTP = {
    "AutocommitIsolationTest": "each statement commits by itself, and there is no other level",
    "DateHistoricTest::test_select_direct": UNTYPED,
    "DateTest::test_select_direct": UNTYPED,
    "DateTimeHistoricTest::test_select_direct": UNTYPED,
    "DateTimeTZTest::test_select_direct": UNTYPED,
    "DateTimeTest::test_select_direct": UNTYPED,
    "NumericTest::test_enotation_decimal": UNTYPED,
    "NumericTest::test_float_as_decimal": UNTYPED,
    "NumericTest::test_float_custom_scale": UNTYPED,
    "NumericTest::test_infinity_floats": "JSON has no infinities, which come as None",
    "NumericTest::test_many_significant_digits": UNTYPED,
    "NumericTest::test_numeric_as_decimal": UNTYPED,
    "NumericTest::test_numeric_no_decimal": UNTYPED,
    "NumericTest::test_numeric_null_as_decimal": UNTYPED,
    "NumericTest::test_precision_decimal": UNTYPED,
    "TimestampMicrosecondsTest::test_select_direct": UNTYPED,
}
"""As LEFT_OUT has them."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave them out."""
    leave_out(LEFT_OUT_OVER_HTTP, config, items)

"""Tests of SQLAlchemy's suite that ask for what kalamdb does not promise, each with the reason; a plugin of pytest."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

IDS_FROM_1 = "keys fill themselves by SNOWFLAKE_ID(), and do not begin with 1"
NAMES = "names of tables are letters from a to z, digits and _, and none begins with _"
DOUBLES = "a number in JSON has the digits of a DOUBLE"
LEFT_OUT = {
    "ComponentReflectionTest::test_schema_cache": "writes CREATE SCHEMA as text; the dialect writes CREATE NAMESPACE",
    "ComponentReflectionTestExtra::test_string_length_reflection[CHAR": "CHAR(n) is another name of VARCHAR(n)",
    "CompositeKeyReflectionTest": "a key is one column",
    "DifficultParametersTest::test_round_trip_same_named_column[_": NAMES,
    "TableDDLTest::test_underscore_names": NAMES,
    "QuotedNameArgumentTest": NAMES,
    "BizarroCharacterTest::test_fk_ref": NAMES + ", and a key is one column",
    "HasIndexTest": "there are no indexes",
    "IdentityAutoincrementTest": IDS_FROM_1,
    "ReturningTest::test_autoincrement_on_insert_implicit_returning": IDS_FROM_1,
    "ReturningTest::test_imv_returning_datatypes": IDS_FROM_1,
    "ReturningTest::test_insert_w_floats": IDS_FROM_1,
    "IsolationLevelTest::test_dialect_user_setting_is_restored": "needs two levels beside AUTOCOMMIT",
    "JSONTest::test_index_cross_casts": "an element that is of another type than asked for is NULL",
    "JSONTest::test_index_typed_access[_decimal1": DOUBLES,
    "JSONTest::test_index_typed_comparison[_decimal1": DOUBLES,
    "JSONTest::test_path_typed_comparison[_decimal1": DOUBLES,
    "JSONTest::test_round_trip_custom_json": "JSON is read and written by kalamdb itself",
    "LongNameBlowoutTest::test_long_convention_name[ix": "there are no indexes",
    "LongNameBlowoutTest::test_long_convention_name[pk": "a key is one column",
    "TableViaSelectTest::test_without_metadata": "there is no CREATE TABLE AS",
    "TrueDivTest::test_truediv_divisor[numeric": "DECIMAL has 38 digits, and a quotient of two has to fit in them",
}
"""The class as the suite has it, and what the name of its test begins with."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave them out."""
    leave_out(LEFT_OUT, config, items)


def leave_out(entries: Mapping[str, str], config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests of these entries, and refuse an entry that there is no test for any more."""
    kept, left_out, used = [], [], set()
    for item in items:
        _, of_class, test = item.nodeid.split("::", 2)
        name = f"{of_class.partition('_')[0].removeprefix('Future')}::{test}"
        entry = next((entry for entry in entries if name.startswith(entry)), None)
        (kept if entry is None else left_out).append(item)
        used.add(entry)
    unused = entries.keys() - used
    if unused:
        raise pytest.UsageError(f"SQLAlchemy's suite has no such tests: {sorted(unused)}")
    config.hook.pytest_deselected(items=left_out)
    items[:] = kept

"""Which names new things may have."""

import pytest

from kalamdb.errors import InvalidName
from kalamdb.sql.names import check_column_name, check_namespace_name, check_table_name


@pytest.mark.parametrize("name", ["a", "Messages", "t2", "a_b", "x" * 64])
def test_plain_names_are_fine(name):
    check_namespace_name(name)
    check_table_name(name)
    check_column_name(name)


@pytest.mark.parametrize(
    "name", ["2a", "a-b", "a b", "a.b", "../x", "größe", "x" * 65, "_a", "a\n", "", "a'b", 'a"b']
)
def test_names_of_tables_and_namespaces_are_plain(name):
    with pytest.raises(InvalidName):
        check_table_name(name)
    with pytest.raises(InvalidName):
        check_namespace_name(name)


@pytest.mark.parametrize("name", ["größe", "a b", "a.b", "'; DROP TABLE t; --", 'x"y', "😀", "x" * 64])
def test_quoted_columns_may_have_any_visible_text(name):
    check_column_name(name)


@pytest.mark.parametrize("name", ["_seq", "_x", "a\x00b", "a\nb", "\u202eevil", "x" * 65, " a", ""])
def test_columns_cannot_hide_or_be_the_systems(name):
    with pytest.raises(InvalidName):
        check_column_name(name)


@pytest.mark.parametrize("name", ["system", "information_schema", "all_users"])
def test_reserved_namespaces_are_refused(name):
    with pytest.raises(InvalidName, match="reserved"):
        check_namespace_name(name)
    check_table_name(name)


def test_messages_never_carry_raw_control_characters():
    with pytest.raises(InvalidName) as caught:
        check_table_name("a\x1b[31m\n")

    assert caught.value.message.isprintable()

"""The scanner: what tokens a text has, what it refuses, and which texts share a shape."""

import random
import string
from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalamcore import statements
from kalamcore.errors import InvalidTextError, LimitExceededError
from kalamcore.statements import scan, split


def values(sql: str) -> list[object]:
    return [value for _, _, _, value in scan(sql).tokens]


# --- Tokens


def test_words_fold_to_lower_case_and_quoted_names_keep_theirs():
    assert values('SELECT Name, "Name" FROM App.T') == [
        "select",
        "name",
        ",",
        "Name",
        "from",
        "app",
        ".",
        "t",
    ]


def test_only_ascii_letters_fold():
    assert values("SELECT Äpfel") == ["select", "Äpfel"]


def test_every_kind_of_token_is_told_apart():
    kinds = [kind for kind, _, _, _ in scan("a \"b\" 'c' X'00ff' 1 1.5 1e5 $1 ::").tokens]

    assert kinds == [
        statements.WORD, statements.QUOTED, statements.STRING, statements.BYTES, statements.INTEGER,
        statements.NUMBER, statements.NUMBER, statements.PARAMETER, statements.OPERATOR,
    ]  # fmt: skip


def test_numbers_become_the_type_that_holds_them():
    sql = "select 12, .5, 1.50, 1., 1e5, 1.5E-3, 12345678901234567890123, 9223372036854775807"

    assert scan(sql).literals == [
        12, Decimal("0.5"), Decimal("1.50"), Decimal("1"), 100000.0, 0.0015, 12345678901234567890123,
        9223372036854775807,
    ]  # fmt: skip
    assert [type(value) for value in scan("select 1, 1.0, 1e0").literals] == [int, Decimal, float]


def test_a_number_too_large_for_a_double_is_refused_with_its_position():
    with pytest.raises(InvalidTextError, match="out of range") as error:
        _ = scan("select 'é', 1e400").literals

    assert error.value.position == 12


def test_doubled_quotes_stand_for_one():
    assert values("'it''s' \"a\"\"b\" '' ''''") == ["it's", 'a"b', "", "'"]


def test_strings_keep_nul_backslash_and_emoji():
    assert scan("select 'a\0b', '\\n', '😀'").literals == ["a\0b", "\\n", "😀"]


@pytest.mark.parametrize(
    "operator",
    [
        "<>",
        "!=",
        "<=",
        ">=",
        "||",
        "->",
        "->>",
        "#>",
        "#>>",
        "@>",
        "<@",
        "::",
        ":=",
        "=>",
        "~",
        "~*",
        "!~",
        "!~*",
    ],
)
def test_operators_are_read_as_long_as_they_go(operator: str):
    assert values(f"a {operator} b") == ["a", operator, "b"]
    assert values(f"(a){operator}(b)") == ["(", "a", ")", operator, "(", "b", ")"]


def test_comments_nest_and_line_comments_end_with_their_line():
    assert values("select 1 /* a /* b */ ; */ + -- ; '\n 2") == ["select", 1, "+", 2]


def test_positions_count_characters():
    assert scan("'é😀' Ä 1").tokens == [
        (statements.STRING, 0, 4, "é😀"),
        (statements.WORD, 5, 6, "Ä"),
        (statements.INTEGER, 7, 8, 1),
    ]


def test_parameters_count_from_zero_in_tokens():
    assert values("? ?") == [0, 1]
    assert values("$2 $1 $2") == [1, 0, 1]
    assert scan("select ?, ?").parameters == 2
    assert scan("select $3, $1").parameters == 3


def test_kind_is_the_first_word():
    assert scan("  /* x */ Explain select 1").kind == "EXPLAIN"
    assert scan("(select 1)").kind == "("
    assert scan(" -- nothing").kind == ""
    assert scan("42").kind == ""


def test_words_are_all_names_that_a_statement_can_mean():
    assert scan("SELECT a FROM \"B\" WHERE c = 'd'").words == {"select", "a", "from", "B", "where", "c"}


def test_a_semicolon_may_end_a_statement():
    assert scan("select 1 ; ;").shape == scan("select 1").shape
    assert scan("select 1 ;").tokens == scan("select 1").tokens


def test_a_scan_made_by_hand_is_empty():
    found = statements.Scan()

    assert (found.kind, found.shape, found.tokens, found.rows, found.words) == ("", "", [], None, frozenset())


# --- What is refused


@pytest.mark.parametrize(
    ("sql", "position", "message"),
    [
        ("select é, 'abc", 10, "unterminated string"),
        ('select é, "abc', 10, "unterminated quoted name"),
        ("select é /* /* */", 9, "unterminated comment"),
        ("select 'é' `a`", 11, "double quotes"),
        ("select \\", 7, "begins nothing"),
        ("select \0", 7, "NUL"),
        ('select "a\0b"', 9, "NUL"),
        ('select ""', 7, "empty"),
        ("select \x01", 7, "control character"),
        ("select 'é', a\u00a0b", 13, "U\\+00A0"),
        ("select a\u202eb", 8, "U\\+202E"),
        ("select \ufeffa", 7, "U\\+FEFF"),
        ("select 1a", 7, "followed by a letter"),
        ("select 0x1F", 7, "followed by a letter"),
        ("select $1a", 7, "followed by a letter"),
        ("select $0", 7, "counted from"),
        ("select $", 7, "begins a parameter"),
        ("select $$a$$", 7, "dollar-quoted"),
        ("select $tag$a$tag$", 7, "dollar-quoted"),
        ("select a$1", 8, "\\$ in a name"),
        ("select $1, ?", 11, "\\? and \\$n"),
        ("select ?, $1", 10, "\\? and \\$n"),
        ("select 1; select 2", 10, "more than one statement"),
        ("select X'0'", 7, "pairs of hexadecimal"),
        ("select X'0g'", 7, "pairs of hexadecimal"),
        ("select E'\\''", 7, "no prefix"),
        ("select U&'a'", 7, "no prefix"),
        ("select 'é\ud800'", 9, "surrogate"),
    ],
)
def test_a_text_that_is_no_sql_is_refused_where_it_stops_being_so(sql: str, position: int, message: str):
    with pytest.raises(InvalidTextError, match=message) as error:
        scan(sql)

    assert error.value.position == position


def refused(sql: str, message: str, **limits: int) -> int:
    with pytest.raises(LimitExceededError, match=message) as error:
        scan(sql, **limits)
    return error.value.position


def test_depth_is_limited():
    scan("select " + "(" * 100 + "1" + ")" * 100)
    scan("select " + "(1)," * 1000 + "1")

    assert refused("select " + "(" * 100_000, "nesting deeper than 100 levels") == 107
    refused("select " + "[" * 101, "nesting deeper")
    refused("select " + "case when a then " * 101, "nesting deeper")
    refused("select " + "(case when [" * 34, "nesting deeper")
    scan("select " + "case when a then 1 end, " * 1000 + "1")


@pytest.mark.parametrize("joiner", [" or ", " and "])
def test_a_chain_of_conditions_is_limited(joiner: str):
    scan("select * from t where " + joiner.join(["id = 1"] * 1001))

    refused(
        "select * from t where " + joiner.join(["id = 1"] * 1002), "more than 1000 operators in one chain"
    )
    refused("select * from t where " + joiner.join(["id = 1"] * 20_000), "more than 1000 operators")


@pytest.mark.parametrize(
    "sql",
    [
        "select 1" + " + 1" * 5000,
        "select 'a'" + "||'b'" * 1001,
        "select " + "- " * 1001 + "1",
        "select " + "not " * 999 + "1" + " and not a" * 1001,
        "select a" + "::int" * 1001,
        "select a" + "[1]" * 1001,
        "select a" + ".b" * 1002,
        "select a" + " at time zone 'x'" * 1001,
        "select a" + " is distinct from 1" * 1001,
        "select a" + " like 'x'" * 1001,
        "select a" + " between 1 and 2" * 1001,
        "select " + "set + " * 1001 + "1",
        "select " + "f() over set + " * 5000 + "1",
        "select " + "f() over from + " * 5000 + "1",
        "select " + "(" * 50 + "1" + ("+1" * 900 + ")") * 50,
        "select case " + "1+" * 1001 + "1 end",
        "select " + ("case" + " + 1" * 900 + " + ") * 50 + "1",
        "select " + "case when a then b end + " * 1001 + "1",
    ],
    ids=lambda sql: sql[:40],
)
def test_no_chain_escapes_the_limit(sql: str):
    refused(sql, "more than 1000 operators|nesting deeper")


def test_a_long_run_of_words_is_refused():
    refused("select " + "not " * 5000 + "a", "1000 words in a row")


def test_lists_are_no_chains():
    many = ", ".join(map(str, range(50_000)))

    scan(f"select * from t where id in ({many})")
    scan("select " + ", ".join(["a + b"] * 5000))
    scan("select case " + "when a = 1 then 2 " * 1500 + "end")
    scan("select " + " + ".join(["f(a + b, c)"] * 900))
    scan("select a from t where " + " + ".join(["1"] * 900) + " > 1 order by " + " + ".join(["a"] * 900))


@pytest.mark.parametrize(
    "condition",
    ["a + 1 = case when b > 0 and c > 0 then 1 else 2 end", "a = case when a between 0 and 1 then 1 end"],
)
def test_a_case_with_and_beside_an_operator_is_no_long_chain(condition: str):
    scan(f"select * from t where {condition}")
    refused(
        f"select * from t where {condition.replace('case when', 'case when' + ' d = 1 and' * 1001)}",
        "more than 1000 operators in one chain",
    )


def test_unions_joins_and_with_queries_are_limited():
    arm = "select a + b + c + d + e + f + g + h from t where a = 1 and b = 2 and c in (1, 2)"

    scan(" union all ".join([arm] * 200))
    scan(" union ".join([f"({arm})"] * 200))
    refused(" union all ".join([arm] * 201), "more than 200 arms")
    refused(" intersect ".join(["select 1"] * 50_000), "more than 200 arms")
    refused("select * from t" + ", t" * 200, "more than 200 tables")
    refused("select * from t" + " join t on a = b" * 200, "more than 200 tables")
    refused(
        "with " + ", ".join(f"q{i} as (select 1)" for i in range(201)) + " select 1", "more than 200 queries"
    )


def test_parameters_are_limited():
    scan("select $65535")
    scan("select " + ", ".join("?" * 65535))

    refused("select $65536", "65535 parameters")
    refused("select " + ", ".join("?" * 65536), "65535 parameters")


def test_a_number_of_any_length_is_limited():
    assert scan("select " + "9" * 1000).literals == [int("9" * 1000)]
    refused("select " + "9" * 1001, "number of 1001 characters")


def test_text_is_limited_and_an_insert_of_literal_rows_may_be_longer():
    message = "statement too large: .* bytes of SQL text, the limit is 1000000; send data as parameters"
    rows = ", ".join(["(1, 'text', NULL)"] * 100_000)

    scan("select '" + "a" * 999_000 + "'")
    refused("select '" + "a" * 10_000_000 + "'", message)
    refused("x" * 1_000_001, message)
    assert scan(f"insert into t values {rows}").shape == "insert into t values \x02"
    refused(f"insert into t values {rows}, (f(1), 2, 3)", message)
    refused(f"insert into t select {rows}", message)
    refused(f"insert into t values {rows} returning " + "a, " * 400_000 + "a", message)
    refused("insert into t values ('" + "a" * 16_000_000 + "')", "the limit is 16000000")
    refused("é" * 20_000_000, "at least 20000000 bytes")


# --- Shapes


def test_literals_are_lifted_and_the_rest_is_normalised():
    found = scan("SELECT  *\nFROM t -- c\nWHERE id=42 AND name = 'x' AND b = X'00' AND c > 1.5 LIMIT 10;")

    assert found.shape == (
        "select * from t where id = \x01i and name = \x01s and b = \x01b and c > \x01n limit \x01i"
    )
    assert found.literals == [42, "x", b"\x00", Decimal("1.5"), 10]


@pytest.mark.parametrize(
    "sql",
    [
        "select interval '1 day'", "select timestamp '2024-01-01'", "select date '2024-01-01'",
        "select timestamp with time zone '2024-01-01'", "select cast(a as decimal(10, 2))", "select a::varchar(10)",
        "select cast(a as character varying(10))", "select a from t order by 1, 2 desc", "select a from t group by 1",
        "create table t (a varchar(10) default 'x')", "create user u password 'secret'",
    ],
)  # fmt: skip
def test_literals_that_belong_to_something_are_not_lifted(sql: str):
    assert scan(sql).literals == []
    assert "\x01" not in scan(sql).shape


def test_kinds_of_literals_are_kinds_of_shape():
    shapes = {
        scan(f"select {literal}").shape
        for literal in [
            "1",
            "9223372036854775808",
            "1.0",
            "1e0",
            "'1'",
            "X'01'",
            "null",
            "true",
            '"1"',
            "$1",
            "?",
        ]
    }

    assert len(shapes) == 11


def test_operators_side_by_side_differ_from_operators_apart():
    assert scan("select a =-1").shape != scan("select a = -1").shape
    assert scan("select (a)").shape == scan("select ( a )").shape


def test_rows_of_literals_leave_one_mark():
    found = scan(
        "insert into app.t (a, b) values (1, 'x'), (-2.50, NULL), ( + 3 , true),(1e2,FALSE) -- c\n, (X'ff', 'it''s')"
        " on conflict (a) do update set b = 'y' returning a"
    )

    assert found.shape == (
        "insert into app . t ( a , b ) values \x02 on conflict ( a ) do update set b = \x01s returning a"
    )
    assert found.rows == [
        (1, "x"), (Decimal("-2.50"), None), (3, True), (100.0, False), (b"\xff", "it's"),
    ]  # fmt: skip
    assert found.literals == ["y"]
    assert found.tokens[-1] == (statements.WORD, 155, 156, "a")


def test_rows_may_differ_in_length_and_be_empty_strings():
    assert scan("insert into t values (1), (2, ''), (-9223372036854775808)").rows == [
        (1,), (2, ""), (-9223372036854775808,),
    ]  # fmt: skip


def test_a_minus_does_not_round_a_decimal():
    digits = "0." + "1234567890" * 3 + "12345678"

    assert scan(f"insert into t values (-{digits})").rows == [(Decimal("-" + digits),)]


@pytest.mark.parametrize(
    "row",
    [
        "(1, $1)",
        "(1, ?)",
        "(1 + 1)",
        "(now())",
        "(default)",
        "(nullx)",
        "(- 'a')",
        "((1))",
        "()",
        "(1",
        "(a.b)",
    ],
)
def test_rows_with_anything_else_are_lifted_one_by_one(row: str):
    found = scan(f"insert into t values (1, 'a'), {row}")

    assert found.rows is None
    assert found.literals[:2] == [1, "a"]


def test_a_table_may_be_called_values():
    assert scan("insert into values values (1)").rows == [(1,)]
    assert scan("insert into values select 1").rows is None


def test_only_an_insert_has_rows():
    assert scan("select * from (values (1), (2))").rows is None
    assert scan("values (1), (2)").shape == "values ( \x01i ) , ( \x01i )"


# --- Batches


def test_a_batch_is_cut_at_its_semicolons():
    sql = ' select 1 ; -- x;\n ;; insert into é values (\';\', ";") /* ; */ ; "q;" '

    assert [sql[start:end] for start, end in split(sql)] == [
        "select 1", "insert into é values (';', \";\")", '"q;"',
    ]  # fmt: skip


def test_an_empty_batch_has_no_statements():
    assert split("") == split(" ; /* a */ ;\n-- b") == []


def test_a_batch_with_an_open_string_is_refused():
    for sql in ("select 1; select 'é", 'select 1; select "é', "select 1; select /*"):
        with pytest.raises(InvalidTextError, match="unterminated") as error:
            split(sql)

        assert error.value.position == 17


def test_a_batch_of_too_many_statements_is_refused():
    with pytest.raises(LimitExceededError, match="more than 10 statements") as error:
        split("a;" * 11, statements_max=10)

    assert error.value.position == 20


# --- Properties

text_values = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
cells = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.decimals(allow_nan=False, allow_infinity=False, places=3),
    st.floats(allow_nan=False, allow_infinity=False),
    text_values,
    st.binary(max_size=20),
)


def quoted(value: object) -> str:
    if value is None or isinstance(value, bool):
        return str(value).replace("None", "NULL").upper()
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, bytes):
        return f"X'{value.hex()}'"
    if isinstance(value, float):
        return f"{value:.17e}"
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


blank = st.sampled_from(["", " ", "\n\t", "/* , ( ' */", "-- '\n"])


@given(st.lists(st.lists(cells, min_size=1, max_size=5), min_size=1, max_size=5), blank, blank)
def test_rows_equal_the_values_they_were_written_from(rows: list[list[object]], before: str, after: str):
    written = ",".join(
        "(" + ",".join(before + quoted(cell) + after for cell in row) + ")" + before for row in rows
    )

    read = scan(f"INSERT INTO t VALUES {written}").rows

    assert read == [tuple(row) for row in rows]
    assert [[type(cell) for cell in row] for row in read] == [[type(cell) for cell in row] for row in rows]


fragments = st.sampled_from(
    [
        "select", "From", "é", '"Q""q"', "'s''s'", "x'00'", "1", "1.5", "1e5", "?", "(", ")", ",", ".", "+", "->>",
        "::", "case", "end", "and", "interval", "as", "values", "insert into t values (1,'a')", "order by", "[", "]",
    ]
)  # fmt: skip
gaps = st.sampled_from([" ", "\n", " /* é /* ' */ */ ", " -- ;'\n"])


@given(st.lists(st.tuples(fragments, gaps), max_size=30))
def test_tokens_cover_all_but_blanks_and_comments(parts: list[tuple[str, str]]):
    sql = "".join(fragment + gap for fragment, gap in parts)
    expected = "".join(fragment for fragment, _ in parts).replace(" ", "")

    tokens = scan(sql).tokens

    assert "".join(sql[start:end] for _, start, end, _ in tokens) == expected
    assert all(before[2] <= after[1] for before, after in pairwise(tokens))


literal_pairs = st.one_of(
    *(
        st.tuples(kind, kind)
        for kind in (
            st.integers(0, 2**63 - 1),
            st.integers(2**63, 2**80),
            st.floats(min_value=0, allow_nan=False, allow_infinity=False),
            text_values,
            st.binary(max_size=20),
        )
    )
)


@given(st.lists(st.tuples(fragments, literal_pairs), max_size=20), gaps)
def test_a_shape_does_not_depend_on_the_values_of_its_literals(parts, gap: str):
    # What belongs to a type or names a column by its place stays in the shape, so it must not vary here.
    parts = [
        (fragment, pair) for fragment, pair in parts if fragment not in ("interval", "as", "::", "order by")
    ]
    first = scan("select " + " ".join(f"{fragment} = {quoted(a)}" for fragment, (a, _) in parts))
    other = scan("SELECT " + gap.join(f"{fragment} {gap}={gap} {quoted(b)}" for fragment, (_, b) in parts))

    assert first.shape == other.shape
    assert len(first.literals) == len(other.literals)


@given(text_values, text_values)
def test_a_shape_scans_to_itself(name: str, value: str):
    name = name.replace("\0", "") or "n"
    quoted_name = '"' + name.replace('"', '""') + '"'
    found = scan(f"create table {quoted_name} (a text default {quoted(value)})")

    assert scan(found.shape).shape == found.shape
    assert name in found.words


@given(st.lists(st.sampled_from(["a", "';'", '";"', "/*;*/", "--;\n", ";", " ", "é"]), max_size=40))
def test_the_statements_of_a_batch_hold_all_of_its_tokens(parts: list[str]):
    sql = " ".join(parts)
    spans = split(sql)

    apart = [sql[start + first : start + last] for start, end in spans
             for _, first, last, _ in scan(sql[start:end]).tokens]  # fmt: skip

    assert apart == [part for part in parts if part in ("a", "';'", '";"', "é")]
    assert all(start < end for start, end in spans)


def position_of_refusal(read: Callable[[str], object], sql: str) -> int:
    """Where `read` refused the text; 0 when it did not."""
    try:
        read(sql)
    except (InvalidTextError, LimitExceededError) as error:
        return error.position
    return 0


def read_everything(sql: str) -> None:
    found = scan(sql, terms_max=5, depth_max=3, union_arms_max=2)
    _ = found.tokens, found.words, found.rows, found.literals, found.kind


@given(st.text(max_size=200))
@settings(max_examples=500)
def test_any_text_is_scanned_or_refused(sql: str):
    for read in (scan, split):
        assert 0 <= position_of_refusal(read, sql) <= len(sql)


def test_twenty_thousand_random_texts_are_scanned_or_refused():
    source = random.Random(7)
    pieces = [*string.printable, "é", "😀", "''", '""', "/*", "*/", "--", "\0", "select ", "insert into t values (",
              " case ", " end ", " union ", " from ", " as ", "x'", "1e", "$1", "::", "\u00a0"]  # fmt: skip
    for _ in range(20_000):
        sql = "".join(source.choices(pieces, k=source.randrange(40)))
        assert 0 <= position_of_refusal(read_everything, sql) <= len(sql)

"""Expressions: read, printed, and read again."""

import contextlib
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalamdb.errors import Error
from kalamdb.sql.expressions import (
    Between,
    Binary,
    Case,
    Cast,
    ColumnReference,
    FunctionCall,
    InList,
    IsDistinct,
    IsNull,
    IsTruth,
    Like,
    Literal,
    Opaque,
    Parameter,
    TypedLiteral,
    Unary,
    chain,
    to_sql,
    walk,
)
from kalamdb.sql.parser import StatementCache, parse, parse_expression, scan_statement
from kalamdb.types import DataType, TypeName

A, B, C, D = (ColumnReference(name) for name in "abcd")


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("a OR b AND NOT c = d", Binary("OR", A, Binary("AND", B, Unary("NOT", Binary("=", C, D))))),
        ("a + b * c - d", Binary("-", Binary("+", A, Binary("*", B, C)), D)),
        ("a ->> 'k' = b || c", Binary("=", Binary("->>", A, Literal("k")), Binary("||", B, C))),
        ("a != b", Binary("<>", A, B)),
        ("-a * -1", Binary("*", Unary("-", A), Literal(-1))),
        ("- 1::INT", Unary("-", Cast(Literal(1), DataType(TypeName.INT)))),
        ("a IS NOT NULL", IsNull(A, negated=True)),
        ("a IS NOT TRUE", IsTruth(A, True, negated=True)),
        ("a IS UNKNOWN", IsTruth(A, None)),
        ("a IS NOT DISTINCT FROM b", IsDistinct(A, B, negated=True)),
        ("a BETWEEN b AND c AND d", Binary("AND", Between(A, B, C), D)),
        ("a NOT IN (1, NULL)", InList(A, (Literal(1), Literal(None)), negated=True)),
        ("a NOT LIKE 'x!%' ESCAPE '!'", Like(A, Literal("x!%"), Literal("!"), negated=True)),
        ("a ILIKE b", Like(A, B, case_insensitive=True)),
        ("CASE WHEN a THEN 1 END", Case(None, ((A, Literal(1)),))),
        ("CASE a WHEN b THEN c ELSE d END", Case(A, ((B, C),), D)),
        ("CAST(a AS DECIMAL(10, 2))", Cast(A, DataType(TypeName.DECIMAL, precision=10, scale=2))),
        ("now()", FunctionCall("now")),
        ("CURRENT_TIMESTAMP", FunctionCall("current_timestamp")),
        ("coalesce(a, 1)", FunctionCall("coalesce", (A, Literal(1)))),
        ("count(*)", FunctionCall("count", (), "count(*)")),
        ("NOW() - INTERVAL '7 days'", Binary("-", FunctionCall("now"), TypedLiteral("INTERVAL '7 days'"))),
        ("INTERVAL '1' DAY", TypedLiteral("INTERVAL '1' DAY")),
        ("DATE '2025-01-01'", TypedLiteral("DATE '2025-01-01'")),
        ("date > time", Binary(">", ColumnReference("date"), ColumnReference("time"))),
        ("excluded.a", ColumnReference("a", "excluded")),
        ('"A b"', ColumnReference("A b")),
        ('"null"', ColumnReference("null")),
        ("TRUE AND NULL", Binary("AND", Literal(True), Literal(None))),
        ("X'00ff'", Literal(b"\x00\xff")),
        ("1.50", Literal(Decimal("1.50"))),
        ("-9223372036854775808", Literal(-(2**63))),
        ("$2 = $1", Binary("=", Parameter(1), Parameter(0))),
        ("extract(year FROM a)", Opaque("extract(year FROM a)")),
        ("position('a' IN b)", Opaque("position('a' IN b)")),
        ("array[1, 2]", Opaque("array[1, 2]")),
        ("(SELECT 1)", Opaque("(SELECT 1)")),
        ("NOT EXISTS (SELECT 1)", Unary("NOT", Opaque("EXISTS (SELECT 1)"))),
        ("left(a, 1)", FunctionCall("left", (A, Literal(1)))),
    ],
)
def test_reads(sql, expected):
    assert parse_expression(sql) == expected


def test_a_floating_literal_stays_one():
    literal = parse_expression("1e5")

    assert isinstance(literal.value, float)
    assert to_sql(literal) == "100000.0e0"


def test_a_chain_is_walked_without_a_stack():
    expression = parse_expression(" OR ".join(f"a = {n}" for n in range(400)))
    first, nodes = chain(expression)

    assert first == A
    assert [node.operator for node in nodes] == ["="] + ["OR"] * 399
    assert sum(1 for _ in walk(expression)) == 400 * 3 + 399
    assert to_sql(expression).count("OR") == 399


names = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=20)
texts = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), max_size=20)
literals = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**6), max_value=10**6)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
    | st.binary(max_size=10)
).map(Literal)
types = st.sampled_from(
    [
        DataType(TypeName.BIGINT),
        DataType(TypeName.TEXT),
        DataType(TypeName.TEXT, length=5),
        DataType(TypeName.DOUBLE),
    ]
)
leaves = (
    literals
    | names.map(ColumnReference)
    | st.builds(ColumnReference, names, names)
    | st.integers(0, 5).map(Parameter)
    | st.sampled_from(
        [TypedLiteral("INTERVAL '1 day'"), Opaque("(SELECT 1)"), FunctionCall("count", (), "count(*)")]
    )
)
conditions = st.sampled_from(["OR", "AND", "=", "<>", "<", "<=", ">", ">="])
operators = conditions | st.sampled_from(
    ["||", "->", "->>", "+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>"]
)


def nodes(inner):
    """Every kind of node over smaller expressions."""
    return (
        st.builds(Binary, operators, inner, inner)
        | st.builds(
            Unary,
            st.sampled_from(["-", "NOT", "+"]),
            inner.filter(lambda node: not isinstance(node, Literal)),
        )
        | st.builds(IsNull, inner, st.booleans())
        | st.builds(IsTruth, inner, st.sampled_from([True, False, None]), st.booleans())
        | st.builds(IsDistinct, inner, inner, st.booleans())
        | st.builds(Between, inner, inner, inner, st.booleans())
        | st.builds(InList, inner, st.lists(inner, min_size=1, max_size=3).map(tuple), st.booleans())
        | st.builds(Like, inner, inner, st.none() | inner, st.booleans(), st.booleans())
        | st.builds(
            Case,
            st.none() | inner,
            st.lists(st.tuples(inner, inner), min_size=1, max_size=2).map(tuple),
            st.none() | inner,
        )
        | st.builds(Cast, inner, types)
        | st.builds(
            FunctionCall, st.sampled_from(["lower", "coalesce"]), st.lists(inner, max_size=3).map(tuple)
        )
    )


@given(st.recursive(leaves, nodes, max_leaves=12))
@settings(max_examples=300, deadline=None)
def test_what_is_printed_reads_the_same(expression):
    assert parse_expression(to_sql(expression)) == expression


@given(texts, names)
@settings(max_examples=200, deadline=None)
def test_hostile_strings_survive_as_values_and_names(text, name):
    quoted_text, quoted_name = text.replace("'", "''"), name.replace('"', '""')
    sql = f"""UPDATE t SET "{quoted_name}" = '{quoted_text}' WHERE "{quoted_name}" = '{quoted_text}'"""
    parsed = parse(scan_statement(sql), sql, StatementCache())

    assert parsed.statement.assignments[0].column == name
    assert list(parsed.literals) == [text, text]
    assert parse_expression(parsed.statement.where.text(parsed.literals)) == Binary(
        "=", ColumnReference(name), Literal(text)
    )


@given(
    st.text("()[]{};,.'\"$?-+*/=<>:|a1 \n", max_size=40),
    st.sampled_from(["", "UPDATE t SET a = ", "CREATE TABLE t ("]),
)
@settings(max_examples=300, deadline=None)
def test_any_text_is_read_or_refused_in_words(text, head):
    sql = head + text
    with contextlib.suppress(Error):
        parse(scan_statement(sql), sql, StatementCache())

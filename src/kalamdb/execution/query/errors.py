"""What DataFusion and Arrow raise, as errors of ours.

Their messages name internal catalogs and hidden functions, and a panic is not even an Exception; a caller gets one
tree of errors, PostgreSQL's words, and a position in the text that was given.
"""

from __future__ import annotations

import re

import pyarrow as pa

from kalamcore.errors import (
    ColdMissError,
    CoreError,
    InvalidTextError,
    LimitExceededError,
    WriteConflictError,
)
from kalamdb import errors as kinds
from kalamdb.engine.core_errors import translated
from kalamdb.errors import (
    DataError,
    DivisionByZero,
    Error,
    InternalError,
    InvalidSyntax,
    InvalidValue,
    NotSupportedError,
    NumericOutOfRange,
    ProgrammingError,
    ResourcesExceeded,
    StatementTooLarge,
    TypeMismatch,
    UndefinedColumn,
    UndefinedFunction,
    UndefinedTable,
)
from kalamdb.execution.query.functions import HIDDEN
from kalamdb.execution.query.provider import DEFAULT_CATALOG, SESSION_SCHEMA
from kalamdb.execution.query.tokens import Tokens

_SQL_TYPES = {
    "Boolean": "BOOLEAN", "Int8": "SMALLINT", "Int16": "SMALLINT", "Int32": "INT", "Int64": "BIGINT",
    "UInt64": "BIGINT", "Float32": "FLOAT", "Float64": "DOUBLE", "Utf8": "TEXT", "Utf8View": "TEXT",
    "Date32": "DATE", "Time64(Nanosecond)": "TIME", "Time64(µs)": "TIME", "Time64(ns)": "TIME", "Binary": "BYTES",
}  # fmt: skip

_wrapping = re.compile(
    r"^(?:DataFusion error: |Error during planning: |Execution error: |Arrow error: |External error: |"
    r"Optimizer rule '\w+' failed\s+caused by\s+|type_coercion\s+caused by\s+|SQL error: |Schema error: |"
    r"Compute error: |Invalid argument error: |\w+\s+caused by\s+)+"
)
_no_table = re.compile(r"table '([^\n]*)' not found|(?:No table named|Table not found:?) '?([^'\n]+)'?")
_no_table_function = re.compile(
    r"[Tt]able function '?(\w+)'? not found|There is no .*?(?:UDTF|table function).*?'?(\w+)'?"
)
_no_column = re.compile(r"No field named (.+?)\.(?: Did you mean .*)?(?:\n|$)", re.DOTALL)
_no_function = re.compile(r"Invalid function '([^']*)'")
_wrong_arguments = re.compile(
    r"[Ff]unction '(\w+)' (?:expects|requires|failed to match|expected)|"
    r"No function matches the given name and argument types '(\w+)|Function '(\w+)' user-defined coercion failed"
)
_ambiguous = re.compile(r"Ambiguous reference to unqualified field (.+)")
_parser = re.compile(r'(?:Parser|Tokenizer)Error\("(.*)"\)', re.DOTALL)
_found = re.compile(
    r"^(?:Expected:? )?(?P<expected>.*?),? found: (?P<found>.*?)(?: at Line: (?P<line>\d+), Column: (?P<column>\d+))?$",
    re.DOTALL,
)
_place = re.compile(r" at Line: (\d+), Column: (\d+)")
_unplanned_subquery = re.compile(r"Physical plan does not support logical expression (InSubquery|Exists)\b")
_SUBQUERIES = {"InSubquery": "IN with a subquery", "Exists": "EXISTS"}
_cast_string = re.compile(r"Cannot cast string '(.*)' to value of (.+?) type", re.DOTALL)
_cast_value = re.compile(r"Can't cast value (\S+) to type (\S+)")
_overflow = re.compile(
    r"overflow|out of range|too large to store|is too large|Overflow happened", re.IGNORECASE
)
_parse_value = re.compile(
    r"Error parsing|Parser error: |Cast error: |cannot parse|invalid .* string", re.IGNORECASE
)
_coercion = re.compile(
    r"Cannot (?:coerce|infer common|get result type)|cannot be (?:converted|coerced|cast)|Unsupported CAST|"
    r"There isn't a wildcard|"
    r"incompatible types|not compatible|type_coercion",
    re.IGNORECASE,
)
_hidden_call = re.compile(
    re.escape(HIDDEN) + r"(\w+?)(?:_[ti]+)?\((?:random\(\)\s*,\s*)?(?:Int64\(\d+\)|\d+)(?:\s*,\s*)?"
)
# An error of a function of ours that had no statement to leave it with.
_raised_by_ours = re.compile(
    r"<class 'kalamdb\.errors\.(\w+)'>, value: \w+\([\"'](.*?)[\"']\), traceback", re.DOTALL
)
_paths = re.compile(r"(?<![\w.])/(?:[\w.-]+/)+[\w.-]+")


def translate(error: BaseException, tokens: Tokens | None = None) -> BaseException:
    """The error of ours that says what this one says; ours, those that end a program, and those for which the session
    runs the statement anew are given back unchanged."""
    if isinstance(error, Error | KeyboardInterrupt | SystemExit | GeneratorExit):
        return error
    if isinstance(error, LimitExceededError):
        return StatementTooLarge(str(error), position=getattr(error, "position", None))
    if isinstance(error, InvalidTextError):
        return InvalidSyntax(str(error), position=getattr(error, "position", None))
    if isinstance(error, ColdMissError | WriteConflictError):
        return error
    if isinstance(error, CoreError):
        # The scan of a table: the database was closed meanwhile, or the disk does not answer.
        return translated(error)
    if isinstance(error, MemoryError):
        return ResourcesExceeded("the statement needs more memory than there is")
    message = str(error)
    if not isinstance(error, Exception):
        return InternalError(f"the query engine failed: {plain(message)[:500]}")
    if isinstance(error, pa.ArrowException) or type(error) in (
        Exception,
        ValueError,
        RuntimeError,
        TypeError,
        OSError,
    ):
        return _from_message(message, tokens)
    return InternalError(f"the query engine failed: {type(error).__name__}: {plain(message)[:500]}")


def plain(message: str) -> str:
    """A message or plan without our hidden names, catalogs and paths."""
    message = _hidden_call.sub(r"\1(", message)
    message = message.replace(HIDDEN, "")
    for prefix in (f"{DEFAULT_CATALOG}.{SESSION_SCHEMA}.", f"{SESSION_SCHEMA}.", f"{DEFAULT_CATALOG}."):
        message = re.sub(rf"(?<![\w.]){re.escape(prefix)}", "", message)
    return _paths.sub("(path)", re.sub("\x1f\\d+", "", message))


def _from_message(message: str, tokens: Tokens | None) -> Error:
    if raised := _raised_by_ours.search(message):
        kind = getattr(kinds, raised[1], DataError)
        return kind(raised[2]) if isinstance(kind, type) and issubclass(kind, Error) else DataError(raised[2])
    bare = _wrapping.sub("", message)
    parsed = _parser.search(message)
    if parsed:
        return _syntax_error(parsed[1], tokens)
    if "RecursionLimitExceeded" in message:
        return StatementTooLarge("the statement is nested too deep; split it, or use WITH")
    if found := _no_table.search(bare):
        return _undefined_table(found[1] or found[2], tokens)
    if found := _no_table_function.search(bare):
        name = found[1] or found[2]
        return UndefinedFunction(f"table function {name} does not exist", position=_position(tokens, name))
    if found := _no_column.search(bare):
        name = _last_part(found[1])
        return UndefinedColumn(f'column "{name}" does not exist', position=_position(tokens, name))
    if found := _no_function.search(bare):
        return UndefinedFunction(f"function {found[1]} does not exist", position=_position(tokens, found[1]))
    if found := _wrong_arguments.search(bare):
        name = (found[1] or found[2] or found[3]).removeprefix(HIDDEN)
        return UndefinedFunction(
            f"function {name} does not take these arguments; cast them to the types it takes",
            position=_position(tokens, name),
        )
    if found := _ambiguous.search(bare):
        name = _last_part(found[1].strip())
        return ProgrammingError(
            f'column reference "{name}" is ambiguous; write it with its table',
            position=_position(tokens, name),
        )
    if "null_aware anti join only supports" in message:
        return NotSupportedError(
            "NOT IN with a subquery that names columns of the query around it is not supported; use NOT EXISTS"
        )
    if "Correlated scalar subquery must be aggregated" in message:
        return NotSupportedError(
            "a subquery as a value that names columns of the query around it has to be of one row by its form; let it "
            "aggregate, as max(…), or join"
        )
    if "ScalarSubqueryExpr evaluated before" in message:
        return NotSupportedError(
            "a subquery as a value is not supported in VALUES; use SELECT, and UNION ALL for rows"
        )
    if found := _unplanned_subquery.search(message):
        return NotSupportedError(
            f"{_SUBQUERIES[found[1]]} is not supported in this place; use it in WHERE, or join"
        )
    if "Cannot run range queries on datatype" in message:
        return NotSupportedError(
            "a window whose order begins with a TIME column is not supported; give it ROWS, or order it by "
            "CAST(x AS TEXT)"
        )
    if "does not match with the projection expression" in message:
        return NotSupportedError("an expression stands twice in GROUP BY; write it once", position=None)
    if "SanityCheckPlan" in message or "Only intervals with the same data type" in message:
        return NotSupportedError(
            "the query engine found no sound way to run this query; order, group or number its rows in a query "
            "around it, or take fewer steps at a time"
        )
    if "Divide by zero" in message:
        return DivisionByZero("division by zero")
    if "Recursion level in ArrowSchema" in message:
        return StatementTooLarge("an array of arrays of the result is nested too deeply; make it flatter")
    if "Resources exhausted" in message or "Failed to allocate" in message:
        return ResourcesExceeded(
            "the statement needs more memory than memory_limit_bytes allows; narrow it, or raise the setting"
        )
    if found := _cast_string.search(message):
        return InvalidValue(f'invalid input syntax for type {_type(found[2])}: "{found[1][:100]}"')
    if found := _cast_value.search(message):
        return NumericOutOfRange(f"value {found[1]} is out of range for type {_type(found[2])}")
    if _overflow.search(bare):
        return NumericOutOfRange(plain(_first_line(bare)))
    if _parse_value.search(message):
        return InvalidValue(plain(_first_line(bare)))
    if "not implemented" in bare or "not supported" in bare or "unsupported" in bare.lower():
        return NotSupportedError(plain(_first_line(bare).replace("This feature is not implemented: ", "")))
    if _coercion.search(message):
        return TypeMismatch(plain(_first_line(bare)))
    if "Internal error" in message or "panicked" in message:
        return InternalError(f"the query engine failed: {plain(_first_line(bare))}")
    if "Error during planning" in message or "Schema error" in message:
        return ProgrammingError(plain(_first_line(bare)))
    if "Execution error" in message or "Arrow error" in message or "External error" in message:
        return DataError(plain(_first_line(bare)))
    return InternalError(f"the query engine failed: {plain(_first_line(bare))}")


def _syntax_error(text: str, tokens: Tokens | None) -> InvalidSyntax:
    text = text.replace('\\"', '"').replace("\\\\", "\\").replace("\\n", "\n")
    place = _place.search(text)
    position = None
    if place and tokens is not None:
        position = tokens.at(_offset(tokens.print(), int(place[1]), int(place[2])))
    match = _found.match(text)
    if match is None:
        return InvalidSyntax(f"syntax error: {plain(_place.sub('', text))}", position=position)
    expected = f": expected {match['expected']}" if match["expected"] else ""
    if match["found"] == "EOF":
        end = tokens.stops[-1] if tokens is not None and tokens.count else None
        return InvalidSyntax(f"syntax error at end of input{expected}", position=end)
    shown = match["found"]
    if tokens is not None and position in tokens.starts:
        at = tokens.starts.index(position)
        shown = tokens.source(at, at)
    return InvalidSyntax(f'syntax error at or near "{plain(shown)}"{plain(expected)}', position=position)


def _offset(text: str, line: int, column: int) -> int:
    lines = text.split("\n")
    return sum(len(before) + 1 for before in lines[: line - 1]) + column - 1


def _undefined_table(path: str, tokens: Tokens | None) -> UndefinedTable:
    name = path.replace('"', "")
    for prefix in (f"{DEFAULT_CATALOG}.{SESSION_SCHEMA}.", f"{DEFAULT_CATALOG}."):
        name = name.removeprefix(prefix)
    return UndefinedTable(
        f'relation "{name}" does not exist', position=_position(tokens, name.rpartition(".")[2])
    )


def _position(tokens: Tokens | None, name: str) -> int | None:
    return None if tokens is None else tokens.position_of(name)


def _last_part(path: str) -> str:
    quoted = re.search(r'"((?:[^"]|"")*)"$', path)
    return quoted[1].replace('""', '"') if quoted else path.rpartition(".")[2]


def _type(name: str) -> str:
    return "TIMESTAMP" if name.startswith("Timestamp") else _SQL_TYPES.get(name, name)


def _first_line(text: str) -> str:
    return text.strip().split("\n", 1)[0][:500]

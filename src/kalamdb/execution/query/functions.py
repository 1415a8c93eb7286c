"""Functions of the registry, offered to DataFusion.

DataFusion runs a function on threads of its own, where no context variable of the caller is seen, and does not tell
a function without arguments how many rows there are. So the rewrite writes every call as a call to a hidden name that
begins with `_kalam_`: a volatile function gets `random()` as a first argument, of which there is one per row, and
every function gets its statement's number, by which it finds the FunctionContext.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
from datafusion import SessionContext, udf

from kalamcore.errors import CoreError
from kalamdb.engine.core_errors import translated
from kalamdb.errors import DataError, Error, InternalError, ResourcesExceeded
from kalamdb.functions.registry import Function, FunctionContext, FunctionRegistry
from kalamdb.types import query_type

if TYPE_CHECKING:
    from collections.abc import Callable

HIDDEN = "_kalam_"
TEXT_BYTES_MAX = 16 * 1024 * 1024
"""The longest text that repeat, lpad, rpad and replace may make."""
BATCH_BYTES_MAX = 128 * 1024 * 1024
"""How much they may make for one batch of rows."""

BOUNDED = frozenset({"repeat", "lpad", "rpad", "replace"})
VOLATILE = frozenset({"random", "rand", "uuid"})
"""DataFusion's own that give a new result for each row."""
UNAVAILABLE = ("input_file_name", "file_row_index", "with_metadata", "version")


class Running:
    """A statement that is being run, as its functions see it."""

    __slots__ = ("context", "failure", "number")

    def __init__(self, number: int, context: FunctionContext) -> None:
        self.number = number
        self.context = context
        self.failure: BaseException | None = None


class QueryFunctions:
    """The registry's functions in one SessionContext. Thread safety: all methods may be called from any thread."""

    def __init__(self, session: SessionContext, registry: FunctionRegistry) -> None:
        self.registry = registry
        self._session = session
        self._numbers = itertools.count(1)
        self._running: dict[int, Running] = {}
        self._offered: dict[str, Function] = {}
        self._lock = threading.Lock()
        for name in UNAVAILABLE:
            session.deregister_udf(name)
        _offer_bounded(session)

    def is_volatile(self, name: str) -> bool:
        """Whether a function of this name, folded, gives a new result at each call."""
        function = self.registry.get(name)
        return name in VOLATILE if function is None else function.volatility == "volatile"

    def begin(self, context: FunctionContext) -> Running:
        """A statement starts; `end` must follow."""
        running = Running(next(self._numbers), context)
        self._running[running.number] = running
        return running

    def end(self, running: Running) -> None:
        """The statement is over, whatever its outcome."""
        self._running.pop(running.number, None)

    def offer(self, function: Function, keys: str) -> str:
        """The hidden name of a function; `keys` has a letter for each argument after the declared ones of a variadic
        function: t for TEXT, i for BIGINT."""
        name = f"{HIDDEN}{function.name}_{keys}" if keys else HIDDEN + function.name
        if self._offered.get(name) is not function:
            with self._lock:
                self._register(name, function, keys)
                self._offered[name] = function
        return name

    def _register(self, name: str, function: Function, keys: str) -> None:
        volatile = function.volatility == "volatile"
        types = [query_type(argument) for argument in function.arguments]
        types += [pa.int64() if key == "i" else pa.utf8() for key in keys]
        hidden = [pa.float64(), pa.int64()] if volatile else [pa.int64()]
        result = query_type(function.result)
        running_statements = self._running

        def evaluate(*columns: pa.Array) -> pa.Array:
            *_, numbers = columns[: len(hidden)]
            count = len(columns[0])
            if count == 0:
                return pa.array([], result)
            running = running_statements.get(numbers[0].as_py())
            if running is None:
                raise InternalError(f"function {function.name}() was called after its statement")
            try:
                answer = function.evaluate(
                    running.context, count, *[column.to_pylist() for column in columns[len(hidden) :]]
                )
                return pa.array(answer, result)
            except BaseException as error:
                running.failure = _own_failure(function.name, error)
                raise

        self._session.register_udf(udf(evaluate, [*hidden, *types], result, function.volatility, name))


def _own_failure(name: str, error: BaseException) -> BaseException:
    if isinstance(error, CoreError):
        return translated(error)
    if isinstance(error, Error) or not isinstance(error, Exception):
        return error
    return DataError(f"function {name}() failed: {type(error).__name__}: {error}")


def _offer_bounded(session: SessionContext) -> None:
    """repeat, lpad, rpad and replace, which look at how much they are asked for before they make it.

    DataFusion's own make any length, outside its memory pool, and a failed allocation ends the process.
    """
    text, count = pa.utf8(), pa.int64()
    signatures: list[tuple[str, Callable[..., pa.Array], Sequence[pa.DataType]]] = [
        ("repeat", _repeat, [text, count]),
        ("lpad", _lpad, [text, count, text]),
        ("rpad", _rpad, [text, count, text]),
        ("replace", _replace, [text, text, text]),
    ]
    for name, evaluate, types in signatures:
        session.register_udf(udf(evaluate, list(types), text, "immutable", HIDDEN + name))
        # The plain name as well: what the rewrite does not see must not reach DataFusion's own.
        session.register_udf(udf(evaluate, list(types), text, "immutable", name))


def _check_lengths(name: str, lengths: Any) -> None:
    """`lengths`: bytes of each result, an int64 array or list with None where the result is NULL."""
    longest, total = int(pc.max(lengths).as_py() or 0), int(pc.sum(lengths).as_py() or 0)
    if longest > TEXT_BYTES_MAX:
        raise ResourcesExceeded(
            f"{name}() makes text of up to {TEXT_BYTES_MAX >> 20} MB, and {longest} bytes were asked for"
        )
    if total > BATCH_BYTES_MAX:
        raise ResourcesExceeded(
            f"{name}() would make {total} bytes for one batch of rows; the limit is {BATCH_BYTES_MAX >> 20} MB"
        )


def _repeat(texts: pa.Array, counts: pa.Array) -> pa.Array:
    counts = pc.max_element_wise(counts, pa.scalar(0, pa.int64()), skip_nulls=False)
    # As a float first: the product of two large numbers would wrap.
    sizes = pc.multiply(
        pc.cast(pc.binary_length(texts), pa.float64()), pc.cast(counts, pa.float64(), safe=False)
    )
    _check_lengths("repeat", sizes)
    return pc.binary_repeat(texts, pc.if_else(pc.equal(pc.binary_length(texts), 0), 0, counts))


def _lpad(texts: pa.Array, lengths: pa.Array, fills: pa.Array) -> pa.Array:
    return _pad("lpad", texts, lengths, fills, lambda text, padding: padding + text)


def _rpad(texts: pa.Array, lengths: pa.Array, fills: pa.Array) -> pa.Array:
    return _pad("rpad", texts, lengths, fills, lambda text, padding: text + padding)


def _pad(
    name: str, texts: pa.Array, lengths: pa.Array, fills: pa.Array, join: Callable[[str, str], str]
) -> pa.Array:
    _check_lengths(name, lengths)
    return pa.array(
        [
            None
            if text is None or length is None or fill is None
            else _padded(text, max(length, 0), fill, join)
            for text, length, fill in zip(
                texts.to_pylist(), lengths.to_pylist(), fills.to_pylist(), strict=True
            )
        ],
        pa.utf8(),
    )


def _padded(text: str, length: int, fill: str, join: Callable[[str, str], str]) -> str:
    missing = length - len(text)
    if missing <= 0:
        return text[:length]
    if not fill:
        return text
    return join(text, (fill * (missing // len(fill) + 1))[:missing])


def _replace(texts: pa.Array, wanted: pa.Array, replacements: pa.Array) -> pa.Array:
    answers: list[str | None] = []
    total = 0
    for text, old, new in zip(texts.to_pylist(), wanted.to_pylist(), replacements.to_pylist(), strict=True):
        if text is None or old is None or new is None:
            answers.append(None)
            continue
        size = len(text) + text.count(old) * max(len(new) - len(old), 0) if len(new) > len(old) else len(text)
        total += size
        if size > TEXT_BYTES_MAX or total > BATCH_BYTES_MAX:
            _check_lengths("replace", pa.array([size, total], pa.int64()))
        # An empty pattern changes nothing here; Python would put the new text between all characters.
        answers.append(text.replace(old, new) if old else text)
    return pa.array(answers, pa.utf8())

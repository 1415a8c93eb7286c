"""How the benchmarks run: contenders of one question take turns in one process, and every turn is recorded.

A contender is a context manager over a directory that gives the operation to be timed. It is opened once and stays
open for all of its turns, so that loading is paid once and a slow moment of the machine meets all contenders alike.

`KALAM_BENCH=full` measures at the sizes of the specification; otherwise sizes and rounds are small, and all of it takes
a few minutes.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

FULL = os.environ.get("KALAM_BENCH") == "full"
TURNS = 5
TURN_SECONDS_MAX = 20.0 if FULL else 2.0

Operation = Callable[[], object]


@dataclass(frozen=True)
class Prepared:
    """An operation that needs something done before each call, which is not timed."""

    prepare: Operation
    run: Operation

    def __call__(self) -> object:
        self.prepare()
        return self.run()


Contender = Callable[[Path], contextlib.AbstractContextManager[Operation]]


@dataclass(frozen=True)
class Question:
    """What is asked, who answers, and what ratio kalamdb is to reach.

    `per_call`: how many rows, ids or values one call of the operation handles. `rounds` calls are timed in a turn,
    each `iterations` times in a row where one is too quick for the clock.
    """

    name: str
    contenders: dict[str, Contender]
    goal: str
    rounds: int
    iterations: int = 1
    per_call: int = 1


@dataclass
class Paddock:
    """Contenders that are open, by question and name."""

    directory: Path
    stack: contextlib.ExitStack
    open: dict[tuple[str, str], Operation] = field(default_factory=dict)

    def operation(self, question: Question, engine: str) -> Operation:
        """The contender's operation; opened when first asked for."""
        key = question.name, engine
        if key not in self.open:
            home = self.directory / f"{len(self.open)}"
            home.mkdir()
            self.open[key] = self.stack.enter_context(question.contenders[engine](home))
        return self.open[key]


@pytest.fixture(scope="module")
def paddock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Paddock]:
    with contextlib.ExitStack() as stack:
        yield Paddock(tmp_path_factory.mktemp("race"), stack)


def turns(*questions: Question) -> pytest.MarkDecorator:
    """Every question, turn by turn, contender by contender."""
    return pytest.mark.parametrize(
        ("question", "turn", "engine"),
        [
            (question, turn, engine)
            for question in questions
            for turn in range(TURNS)
            for engine in question.contenders
        ],
        ids=lambda value: value.name if isinstance(value, Question) else str(value),
    )


def note(benchmark: Any, figures: list[tuple[str, str, float, str]], unit: str) -> None:
    """Records what is no time of calls: (question, contender, figure, goal); `unit`: "bytes", or "s"."""
    benchmark.group = figures[0][0]
    benchmark.extra_info.update(
        unit=unit,
        figures=[
            {"question": question, "engine": engine, "value": value, "goal": goal}
            for question, engine, value, goal in figures
        ],
    )
    benchmark.pedantic(lambda: None, rounds=1)


def take_turn(benchmark: Any, paddock: Paddock, question: Question, turn: int, engine: str) -> None:
    """Times one contender once; the record goes to pytest-benchmark's JSON."""
    operation = paddock.operation(question, engine)
    benchmark.group = f"{question.name} [{turn}]"
    benchmark.extra_info.update(
        question=question.name, engine=engine, turn=turn, goal=question.goal, per_call=question.per_call
    )
    operation()
    timed = operation
    if isinstance(operation, Prepared):
        operation.prepare()
        timed = operation.run
    started = time.perf_counter()
    timed()
    seconds = (time.perf_counter() - started) * question.iterations
    # What is slow gets fewer rounds, so that one contender cannot make everybody wait.
    rounds = max(3, min(question.rounds, int(TURN_SECONDS_MAX / seconds)))
    if isinstance(operation, Prepared):
        # pytest-benchmark takes what a set-up returns for the arguments.
        benchmark.pedantic(timed, setup=lambda: operation.prepare() and None, rounds=rounds)
    else:
        benchmark.pedantic(operation, rounds=rounds, iterations=question.iterations)

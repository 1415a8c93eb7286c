"""Ids for eight threads at once while the clock stands, jumps and goes back: none twice, none out of order."""

from __future__ import annotations

import random
import threading
from typing import Any

import numpy as np

from kalamcore.ids import Snowflakes, Ulids, UuidsV7
from kalamcore.system import Clock
from tests.crash.failures import Figures
from tests.crash.history import EPOCH_US

THREADS = 8
SECOND_US = 1_000_000
HOUR_US = 3600 * SECOND_US
KINDS = {"Snowflake": (Snowflakes, "<i8"), "UUIDv7": (UuidsV7, "S36"), "ULID": (Ulids, "S26")}


def prove(seed: int, ids: int) -> Figures:
    """At least `ids` of each kind."""
    figures = Figures()
    for number, name in enumerate(KINDS):
        _prove(name, random.Random(seed * 3 + number), -(-ids // THREADS), figures)
    return figures


def _prove(name: str, dice: random.Random, each: int, figures: Figures) -> None:
    make, form = KINDS[name]
    clock = Clock.manual(EPOCH_US)
    generator: Any = make(clock=clock)
    taken: list[np.ndarray[Any, Any]] = [np.empty(0, form)] * THREADS
    errors: list[BaseException] = []

    def take(seat: int) -> None:
        own = random.Random(seat)
        parts = []
        count = 0
        try:
            while count < each:
                some = own.choice((1, 10, 500, 5000))
                if own.random() < 0.5:
                    part = np.frombuffer(generator.many(some), form)
                else:
                    part = np.array([generator.one() for _ in range(some)], form)
                parts.append(part)
                count += some
        except BaseException as error:
            errors.append(error)
        taken[seat] = np.concatenate(parts)

    threads = [threading.Thread(target=take, args=(seat,)) for seat in range(THREADS)]
    for thread in threads:
        thread.start()
    moves = 0
    while any(thread.is_alive() for thread in threads):
        # Mostly it goes on, for a generator that is far ahead waits for it; often enough it does not.
        step_us = dice.choice((1000, 1000, 1000, 40_000, 0, 0, -20_000, -4 * SECOND_US))
        if moves % 200 == 100:
            step_us = -HOUR_US
        clock.advance(step_us)
        moves += 1
        threads[0].join(0.001)
    for error in errors:
        figures.find(f"{name}: {error!r}")
    for seat, own in enumerate(taken):
        falls = int((own[:-1] >= own[1:]).sum())
        if falls:
            figures.find(f"{name}: thread {seat} got {falls} ids that are not above the one before")
    every = np.concatenate(taken)
    figures.tried += len(every)
    figures.outcomes[name] += len(every)
    figures.outcomes["moves of the clock"] += moves
    twice = len(every) - len(np.unique(every))
    if twice:
        figures.find(f"{name}: {twice} of {len(every)} were given twice")
    if name == "Snowflake":
        # Another process, that knows how far this one went, and has a clock of an hour ago.
        clock.advance(-HOUR_US)
        if not Snowflakes(after=generator.last, clock=clock).one() > every.max():
            figures.find(f"{name}: a generator that begins after the last id gives one below it")

"""The history's disk after every operation, times every way to lose what was not synced.

Each disk is opened, and must hold what the history held after one of its statements: no earlier one than the last that
was acknowledged, no later one than the one in flight. Then the power goes again, the database takes new writes and a
checkpoint, and two more openings must agree. Disks that read the same are opened once; what they hold is compared for
each.
"""

from __future__ import annotations

import gc
import random
from dataclasses import dataclass, field

from kalamcore.system import FileSystem
from kalamdb.database import Database
from kalamdb.errors import Error
from tests.crash.history import EPOCH_US, History, Life, State, open_database, state_of

LOSSES = ("none", "all", "subset", "reorder", "torn_1", "torn_512", "torn_4096", "zeros")


@dataclass
class Figures:
    """What a check counted, and what it found wrong."""

    states: int = 0
    disks: int = 0
    """How many of them read differently from all others of their life."""
    torn: int = 0
    """How many disks had a torn tail that was cut and told."""
    lost: int = 0
    extra: int = 0
    half: int = 0
    other: int = 0
    findings: list[str] = field(default_factory=list)

    def find(self, kind: str, what: str) -> None:
        setattr(self, kind, getattr(self, kind) + 1)
        if len(self.findings) < 20:
            self.findings.append(f"{kind}: {what}")

    @property
    def wrong(self) -> int:
        return self.lost + self.extra + self.half + self.other


@dataclass(frozen=True)
class Opened:
    """What one disk gave. `error`: what went wrong with it, however the disk came about."""

    state: State | None
    next_sequence: int = 0
    snowflake: int = 0
    torn_bytes: int = 0
    error: str = ""


def open_and_go_on(files: FileSystem, seed: int) -> Opened:
    """Open a disk; lose the power at once; open and write, with a clock an hour back; lose the power; open again."""
    try:
        db = open_database(files, EPOCH_US, seed)
        state, torn = state_of(db), int(str(db.recovery["torn_bytes"]))
        # What recovery accepted is durable before it answers.
        files = files.crash("all")
        db = open_database(files, EPOCH_US - 3_600_000_000, seed + 1)
        if state_of(db) != state:
            return Opened(state, error="a power cut just after the recovery lost what it had accepted")
        before = db.engine.store.statistics()["last_sequence"]
        _write(db)
        sequence = db.engine.store.statistics()["last_sequence"]
        if sequence <= before:
            return Opened(state, error=f"sequence number {sequence} after {before}")
        snowflake = db.ids.snowflake_id()
        written = state_of(db)
        db.checkpoint()
        if state_of(db) != written:
            return Opened(state, error="a checkpoint changed rows")
        files = files.crash("all")
        db = open_database(files, EPOCH_US, seed + 2)
        if state_of(db) != written or written == state:
            return Opened(state, error="a new write was gone at the second opening")
        db.close()
        return Opened(state, sequence, snowflake, torn)
    except Error as error:
        return Opened(None, error=f"{error.code}: {error}")


def _write(db: Database) -> None:
    db.execute("CREATE NAMESPACE IF NOT EXISTS proof")
    db.execute("CREATE TABLE IF NOT EXISTS proof.rows (id BIGINT PRIMARY KEY, body TEXT)")
    db.execute(
        "INSERT INTO proof.rows VALUES (1, 'new'), (2, 'newer') ON CONFLICT (id) DO UPDATE SET body = 'x'"
    )


def check_life(
    life: Life, name: str, figures: Figures, moments: list[int] | None = None, seed: int = 0
) -> None:
    """Every moment of a life (or some), times all losses."""
    known: dict[tuple[int, bool], Opened] = {}
    states = [life.first, *(step.state for step in life.steps)]
    dice = random.Random(seed)
    for moment in range(life.files.recorded()) if moments is None else moments:
        # states[n] is what statement n (from 1) left.
        acknowledged = sum(step.done <= moment + 1 for step in life.steps)
        begun = sum(step.begun <= moment for step in life.steps)
        synced = max((n for n, step in enumerate(life.steps[:acknowledged], 1) if step.synced), default=0)
        for loss in LOSSES:
            first = acknowledged if loss == "none" else synced
            last = max(begun, acknowledged)
            loss_seed = dice.getrandbits(32)
            disk = life.files.crash(loss, loss_seed, after=moment)
            key = (disk.fingerprint(), loss == "none")
            opened = known.get(key)
            if opened is None:
                if len(known) % 50 == 49:
                    gc.collect()  # a database that was left alone is garbage in a circle
                opened = known[key] = open_and_go_on(disk, loss_seed)
                figures.torn += opened.torn_bytes > 0
            figures.states += 1
            where = (
                f"{name}, moment {moment} {life.files.recorded_operation(moment)}, loss {loss} {loss_seed}"
            )
            if opened.state is None:
                figures.find("lost", f"{where}: {opened.error}")
                continue
            if opened.error:
                figures.find("other", f"{where}: {opened.error}")
            if opened.state not in states[first : last + 1]:
                kind = "half"
                if opened.state in states[:first]:
                    kind = "lost"
                elif opened.state in states:
                    kind = "extra"
                figures.find(kind, f"{where}: not what statements {first} to {last} left")
                continue
            found = max(n for n in range(first, last + 1) if states[n] == opened.state)
            kept = life.steps[found - 1].sequence if found else life.sequence
            if opened.next_sequence <= kept:
                figures.find("other", f"{where}: sequence number {opened.next_sequence} after {kept}")
            given = life.steps[first - 1].snowflake if first else life.snowflake
            if opened.snowflake <= given:
                figures.find("other", f"{where}: Snowflake id {opened.snowflake} after {given}")
    figures.disks += len(known)


def prove(seed: int, states: int = 20_000, statements: int = 300) -> Figures:
    """Whole histories, as many as it takes to reach `states`."""
    figures = Figures()
    while figures.states < states:
        history = History(seed, statements)
        for number, life in enumerate(history.lives):
            check_life(life, f"history {seed}, life {number}", figures, seed=seed)
        seed += 1
    return figures


def sample(seed: int, moments: int) -> Figures:
    """Some moments of a shorter history."""
    figures = Figures()
    history = History(seed, 90)
    dice = random.Random(seed)
    for number, life in enumerate(history.lives):
        count = life.files.recorded()
        chosen = sorted(dice.sample(range(count), min(count, moments // len(history.lives))))
        check_life(life, f"history {seed}, life {number}", figures, chosen, seed)
    return figures

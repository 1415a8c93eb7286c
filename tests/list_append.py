"""Transactions that read lists and append to them, and what their history says about isolation.

Every value is appended once, so that a list tells who wrote before whom, and a read tells what it came after. From
that a graph is drawn:

    ww   a appended to a list, b next
    wr   a appended what b read last
    rw   a read a list to which b appended next
    so   b began after a had ended in the same session

Snapshot isolation forbids every cycle but those with two rw edges in a row (Adya 1999; Cerone and Gotsman 2018).
`check` looks for exactly those, and for what shows without a cycle: reads of what was rolled back or was not the last
word of its transaction, lists that contradict each other, appends that are gone or there twice.
"""

from __future__ import annotations

import itertools
import random
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import kalamdb
from kalamdb.errors import SerializationFailure

Key = int
Value = int


@dataclass
class Transaction:
    """What one transaction did, in order: ("append", key, value) or ("read", key, the list)."""

    session: int
    operations: list[tuple[str, Key, object]] = field(default_factory=list)
    committed: bool = False

    def append(self, key: Key, value: Value) -> Transaction:
        self.operations.append(("append", key, value))
        return self

    def read(self, key: Key, *values: Value) -> Transaction:
        self.operations.append(("read", key, tuple(values)))
        return self


@dataclass
class Findings:
    """What `check` found, by the names of the literature. `allowed`: whether a cycle is there that snapshot isolation
    allows (G2), which shows that the workload could have found one that it does not."""

    anomalies: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    allowed: bool = False

    def __bool__(self) -> bool:
        return bool(self.anomalies)


Edges = dict[int, dict[int, str]]


def check(history: Sequence[Transaction]) -> Findings:
    """Everything that snapshot isolation forbids in `history`. REQUIRES: each value is appended once."""
    found = Findings()
    writer: dict[tuple[Key, object], int] = {}
    last_word: dict[tuple[int, Key], object] = {}
    for number, transaction in enumerate(history):
        for kind, key, value in transaction.operations:
            if kind == "append":
                writer[key, value] = number
                last_word[number, key] = value
    committed = [number for number, transaction in enumerate(history) if transaction.committed]
    reads = [
        (number, key, values)
        for number in committed
        for key, values in _reads_of_others(history[number], number, found)
    ]
    orders = _orders(reads, found)
    _check_reads(reads, history, writer, last_word, found)
    # What nobody read after it was appended has no place in an order, and no edges.
    depends, anti = _edges(history, reads, orders, writer)
    for cycle in _forbidden_cycles(depends, anti, committed):
        name, text = _named(cycle)
        found.anomalies[name].append(text)
    together: Edges = defaultdict(dict)
    for edges in (depends, anti):
        for a, targets in edges.items():
            together[a].update(targets)
    found.allowed = any(len(part) > 1 for part in _strongly_connected(together, committed))
    return found


def _reads_of_others(
    transaction: Transaction, number: int, found: Findings
) -> Iterator[tuple[Key, tuple[object, ...]]]:
    """What the transaction saw of others: its reads without what it appended itself, which must be there."""
    own: dict[Key, list[object]] = defaultdict(list)
    seen: dict[Key, tuple[object, ...]] = {}
    for kind, key, value in transaction.operations:
        if kind == "append":
            own[key].append(value)
            continue
        assert isinstance(value, tuple)
        mine = tuple(own[key])
        if mine and value[-len(mine) :] != mine:
            found.anomalies["internal"].append(
                f"transaction {number} read {value} of {key} without its own {mine}"
            )
            continue
        others = value[: len(value) - len(mine)]
        if seen.setdefault(key, others) != others:
            found.anomalies["internal"].append(
                f"transaction {number} read {key} as {seen[key]} and as {others}"
            )
        yield key, others


def _orders(
    reads: Sequence[tuple[int, Key, tuple[object, ...]]], found: Findings
) -> dict[Key, tuple[object, ...]]:
    """Of each key the longest list; all others must be where it begins."""
    orders: dict[Key, tuple[object, ...]] = {}
    for _, key, values in reads:
        if len(values) > len(orders.get(key, ())):
            orders[key] = values
    for number, key, values in reads:
        if orders.get(key, ())[: len(values)] != values:
            found.anomalies["incompatible order"].append(
                f"transaction {number} read {values} of {key}, others {orders[key]}"
            )
    for key, values in orders.items():
        if len(set(values)) != len(values):
            found.anomalies["duplicate"].append(f"{key} is {values}")
    return orders


def _check_reads(
    reads: Sequence[tuple[int, Key, tuple[object, ...]]],
    history: Sequence[Transaction],
    writer: dict[tuple[Key, object], int],
    last_word: dict[tuple[int, Key], object],
    found: Findings,
) -> None:
    for number, key, values in reads:
        for value in values:
            by = writer.get((key, value))
            if by is None:
                found.anomalies["garbage"].append(
                    f"transaction {number} read {value} of {key}, which nobody wrote"
                )
            elif not history[by].committed:
                found.anomalies["G1a"].append(
                    f"transaction {number} read {value} of {key}, which {by} rolled back"
                )
        by = writer.get((key, values[-1])) if values else None
        if by is not None and by != number and last_word[by, key] != values[-1]:
            found.anomalies["G1b"].append(
                f"transaction {number} read {values[-1]} of {key}, on which {by} had more to say"
            )


def check_final(history: Sequence[Transaction], final: dict[Key, tuple[Value, ...]]) -> list[str]:
    """What was committed and is not in the final lists."""
    there = {(key, value) for key, values in final.items() for value in values}
    return [
        f"{value} of {key}, committed by transaction {number}, is gone"
        for number, transaction in enumerate(history)
        if transaction.committed
        for kind, key, value in transaction.operations
        if kind == "append" and (key, value) not in there
    ]


def _edges(
    history: Sequence[Transaction],
    reads: Sequence[tuple[int, Key, tuple[object, ...]]],
    orders: dict[Key, tuple[object, ...]],
    writer: dict[tuple[Key, object], int],
) -> tuple[Edges, Edges]:
    """(ww, wr and so; rw)"""
    depends: Edges = defaultdict(dict)
    anti: Edges = defaultdict(dict)

    def add(edges: Edges, a: int | None, b: int | None, name: str) -> None:
        if a is not None and b is not None and a != b and history[a].committed and history[b].committed:
            edges[a].setdefault(b, name)

    for key, values in orders.items():
        for before, after in itertools.pairwise(values):
            add(depends, writer.get((key, before)), writer.get((key, after)), f"ww {key}")
    for number, key, values in reads:
        if values:
            add(depends, writer.get((key, values[-1])), number, f"wr {key}")
        order = orders.get(key, ())
        if len(order) > len(values):
            add(anti, number, writer.get((key, order[len(values)])), f"rw {key}")
    last: dict[int, int] = {}
    for number, transaction in enumerate(history):
        if transaction.committed:
            add(depends, last.get(transaction.session), number, "so")
            last[transaction.session] = number
    return depends, anti


Cycle = list[tuple[int, str, int]]


def _forbidden_cycles(depends: Edges, anti: Edges, nodes: Sequence[int]) -> list[Cycle]:
    """One cycle for each part of the graph that has one without two rw edges in a row.

    Such a cycle is one of the graph whose edges are a dependency, or a dependency and then an rw.
    """
    steps: dict[int, dict[int, Cycle]] = defaultdict(dict)
    for a, targets in depends.items():
        for b, name in targets.items():
            steps[a][b] = [(a, name, b)]
    for a, targets in depends.items():
        for b, name in targets.items():
            for c, reads in anti.get(b, {}).items():
                steps[a].setdefault(c, [(a, name, b), (b, reads, c)])
    cycles = []
    for part in _strongly_connected(steps, nodes):
        inside = set(part)
        start = next((a for a in part if a in steps.get(a, {})), part[0] if len(part) > 1 else None)
        if start is not None:
            cycles.append(_cycle_through(steps, start, inside))
    return cycles


def _cycle_through(steps: dict[int, dict[int, Cycle]], start: int, inside: set[int]) -> Cycle:
    """A shortest cycle through `start`."""
    came: dict[int, int] = {}
    front = [start]
    while front:
        following = []
        for a in front:
            for b in steps.get(a, {}):
                if b == start:
                    path = [(a, b)]
                    while path[0][0] != start:
                        path.insert(0, (came[path[0][0]], path[0][0]))
                    return [edge for one, two in path for edge in steps[one][two]]
                if b in inside and b not in came:
                    came[b] = a
                    following.append(b)
        front = following
    raise AssertionError("a strongly connected part has a cycle through each of its nodes")


def _strongly_connected(
    edges: Mapping[int, Mapping[int, object]], nodes: Sequence[int]
) -> Iterator[list[int]]:
    """Tarjan's parts, without recursion."""
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    stack: list[int] = []
    on_stack: set[int] = set()
    for root in nodes:
        if root in index:
            continue
        work = [(root, iter(edges.get(root, ())))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        while work:
            node, targets = work[-1]
            for target in targets:
                if target not in index:
                    index[target] = low[target] = len(index)
                    stack.append(target)
                    on_stack.add(target)
                    work.append((target, iter(edges.get(target, ()))))
                    break
                if target in on_stack:
                    low[node] = min(low[node], index[target])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    part = []
                    while True:
                        member = stack.pop()
                        on_stack.discard(member)
                        part.append(member)
                        if member == node:
                            break
                    yield part


def _named(cycle: Cycle) -> tuple[str, str]:
    kinds = [name.partition(" ")[0] for _, name, _ in cycle]
    text = " ".join(f"{a} -{name}-> {b}," for a, name, b in cycle)
    if kinds.count("rw") == 1:
        return "G-single", text
    if "rw" in kinds:
        return "G-nonadjacent", text
    return ("G0" if set(kinds) == {"ww"} else "G1c"), text


# The workload


@dataclass
class Run:
    """What a run did."""

    history: list[Transaction]
    final: dict[Key, tuple[Value, ...]]
    failures: int
    """How many transactions failed to serialize."""


def run(db: kalamdb.Database, transactions: int, seed: int, threads: int = 8) -> Run:
    """At least `transactions` transactions of reads and appends over a few hot lists, from `threads` sessions."""
    db.execute("CREATE NAMESPACE IF NOT EXISTS app")
    db.execute("CREATE TABLE app.lists (id BIGINT PRIMARY KEY, items TEXT NOT NULL)")
    histories: list[list[tuple[int, Transaction]]] = [[] for _ in range(threads)]
    values = _Counter()
    order = _Counter()
    failures = _Counter()
    errors: list[BaseException] = []

    def work(number: int) -> None:
        chance = random.Random(seed * 1000 + number)
        session = db.session(f"worker{number}", role="service")
        append = session.prepare(
            "INSERT INTO app.lists VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET items = items || ' ' || excluded.items"
        )
        read = session.prepare("SELECT items FROM app.lists WHERE id = ?")
        try:
            for _ in range(-(-transactions // threads)):
                done = Transaction(number)
                # A list grows to some dozens of items, and then makes room for a new one.
                newest = values.now // 100
                session.begin()
                for _ in range(chance.randint(1, 5)):
                    key = newest + chance.randrange(4)
                    if chance.random() < 0.5:
                        row = read.execute([key]).fetchone()
                        done.read(key, *(map(int, row[0].split()) if row else ()))
                    else:
                        value = values.next()
                        done.append(key, value)
                        append.execute([key, str(value)])
                    if chance.random() < 0.3:
                        time.sleep(0)
                if chance.random() < 0.05:
                    session.rollback()
                else:
                    try:
                        session.commit()
                        done.committed = True
                    except SerializationFailure:
                        failures.next()
                histories[number].append((order.next(), done))
        except BaseException as error:
            errors.append(error)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if errors:
        raise errors[0]
    everything = sorted((entry for one in histories for entry in one), key=lambda entry: entry[0])
    history = [transaction for _, transaction in everything]
    rows = db.execute("SELECT id, items FROM app.lists").fetchall()
    final = {key: tuple(map(int, items.split())) for key, items in rows}
    last = Transaction(threads, committed=True)
    for key, items in final.items():
        last.read(key, *items)
    return Run([*history, last], final, failures.now)


@dataclass(frozen=True)
class Figures:
    """What a run came to."""

    transactions: int
    committed: int
    failures: int
    """How many of them failed to serialize."""
    allowed: bool
    """Whether they met so closely that a cycle was seen which snapshot isolation allows."""
    findings: tuple[str, ...]


def prove(directory: Path, transactions: int, seed: int) -> Figures:
    """A run on a database in `directory`, what its history shows, and whether all of it is there after a reopen."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # threads that interleave often
    try:
        with kalamdb.open(directory, durability="normal") as db:
            done = run(db, transactions, seed)
    finally:
        sys.setswitchinterval(before)
    found = check(done.history)
    findings = [f"{name}: {text}" for name, texts in found.anomalies.items() for text in texts]
    findings += check_final(done.history, done.final)
    with kalamdb.open(directory) as db:
        rows = db.execute("SELECT id, items FROM app.lists").fetchall()
    if {key: tuple(map(int, items.split())) for key, items in rows} != done.final:
        findings.append("opened again, the lists are not what they were")
    committed = sum(transaction.committed for transaction in done.history)
    return Figures(len(done.history), committed, done.failures, found.allowed, tuple(findings))


class _Counter:
    def __init__(self) -> None:
        self.now = 0
        self._lock = threading.Lock()

    def next(self) -> int:
        with self._lock:
            self.now += 1
            return self.now


# A database that can be broken on purpose


def simulate(
    transactions: int,
    seed: int,
    *,
    snapshots: bool = True,
    first_committer_wins: bool = True,
    dirty: bool = False,
    half: bool = False,
) -> list[Transaction]:
    """The history of a small multi-version store whose transactions interleave at random.

    Each flag takes a promise away: reads see what was committed meanwhile; commits overwrite each other; reads see what
    is not committed; a commit loses what it wrote to all but its first list.
    """
    chance = random.Random(seed)
    committed: dict[Key, tuple[Value, ...]] = {}
    changed: dict[Key, int] = {}
    clock = 0
    history: list[Transaction] = []
    open_now: list[tuple[Transaction, dict[Key, tuple[Value, ...]], dict[Key, tuple[Value, ...]], int]] = []
    value = 0
    begun = 0
    while begun < transactions or open_now:
        if begun < transactions and (len(open_now) < 3 or chance.random() < 0.3):
            begun += 1
            open_now.append((Transaction(begun), dict(committed), {}, clock))
        transaction, snapshot, own, began = chance.choice(open_now)
        if len(transaction.operations) < 4:
            key = value // 40 + chance.randrange(3)
            below = snapshot if snapshots else committed
            seen = own.get(key, below.get(key, ()))
            if dirty:
                for _, _, others, _ in open_now:
                    seen = max(seen, others.get(key, ()), key=len)
            if chance.random() < 0.5:
                transaction.read(key, *seen)
            else:
                value += 1
                transaction.append(key, value)
                own[key] = (*seen, value)
            continue
        open_now = [one for one in open_now if one[0] is not transaction]
        history.append(transaction)
        conflict = any(changed.get(key, -1) > began for key in own)
        if chance.random() < 0.1 or (first_committer_wins and conflict):
            continue
        transaction.committed = True
        clock += 1
        for number, (key, values) in enumerate(own.items()):
            if half and number > 0:
                break
            committed[key] = values
            changed[key] = clock
    last = Transaction(-1, committed=True)
    for key, values in committed.items():
        last.read(key, *values)
    return [*history, last]

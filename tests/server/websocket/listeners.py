"""Listeners over the network beside four writers, ended and begun again at random: what each is told is what was
committed, each change once, none left out.

Every writer has keys of its own, so that it knows in which order a key's rows followed one another, whatever the others
did. From that, and from a filter in Python, follows what a listener must have been told of the key, from the moment on
at which it first listened.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
import itertools
import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

import kalamdb
from kalamdb.server.websocket import server_options
from tests.server.serving import Served, token_of
from tests.server.websocket.client import read

WRITERS = 4
KEYS = 40
"""Of each writer."""
PAUSE_S = 0.002
LAST = -1
"""The key that every filter lets through, written when the writers have ended."""
DEADLINE_S = 300.0

Row = dict[str, Any]
Change = tuple[str, Row]
"""insert and update with the new row, delete with the old one."""

COLUMNS = ("id", "version", "kind", "n")


@dataclasses.dataclass(frozen=True)
class Filter:
    """One in SQL and in Python."""

    sql: str
    holds: Callable[[Row], bool]


@dataclasses.dataclass
class Figures:
    """What was tried and found."""

    commits: int = 0
    changes: int = 0
    resumed: int = 0
    begun: int = 0
    findings: list[str] = dataclasses.field(default_factory=list)


def filters(chosen: random.Random, count: int) -> list[Filter]:
    """Different ones, the first of which lets everything through."""
    found = [Filter("SELECT id, version, kind, n FROM app.events", lambda row: True)]
    while len(found) < count:
        kind, low = chosen.randrange(5), chosen.randrange(100)
        found.append(
            chosen.choice(
                [
                    Filter(f"kind = {kind}", lambda row, kind=kind: row["kind"] == kind),
                    Filter(f"n > {low}", lambda row, low=low: row["n"] is not None and row["n"] > low),
                    Filter("n IS NULL", lambda row: row["n"] is None),
                    Filter(
                        f"kind <> {kind} AND n BETWEEN {low} AND {low + 30}",
                        lambda row, kind=kind, low=low: (
                            row["kind"] != kind and row["n"] is not None and low <= row["n"] <= low + 30
                        ),
                    ),
                    Filter(
                        f"id = {low} OR kind = {kind}",
                        lambda row, low=low, kind=kind: row["id"] == low or row["kind"] == kind,
                    ),
                ]
            )
        )
    return [
        found[0],
        *(
            Filter(f"SELECT id, version, kind, n FROM app.events WHERE {one.sql} OR id = {LAST}", one.holds)
            for one in found[1:]
        ),
    ]


class Writer:
    """Commits changes of its own keys. `histories`: by key, every row it had, None where it was deleted."""

    def __init__(self, db: kalamdb.Database, number: int, seed: int, commits: int) -> None:
        self._session = db.session(f"writer{number}", role="service")
        self._chosen = random.Random(f"{seed} {number}")
        self._keys = [number + WRITERS * at for at in range(KEYS)]
        self._commits = commits
        self._version = 0
        self.histories: dict[int, list[Row | None]] = {key: [None] for key in self._keys}

    def run(self) -> None:
        for _ in range(self._commits):
            if self._chosen.random() < 0.2:
                # Each key once, so that a listener is told of as many changes as there are.
                with self._session.transaction():
                    for key in self._chosen.sample(self._keys, self._chosen.randrange(2, 6)):
                        self._change(key)
            else:
                self._change(self._chosen.choice(self._keys))
            # Listeners live in this process too.
            time.sleep(PAUSE_S)

    def _change(self, key: int) -> None:
        chosen = self._chosen
        self._version += 1
        before = self.histories[key][-1]
        after: Row | None = {
            "id": key,
            "version": self._version,
            "kind": chosen.randrange(5),
            "n": chosen.choice([None, chosen.randrange(130)]),
        }
        if before is None:
            self._session.execute(
                "INSERT INTO app.events (id, version, kind, n) VALUES (?, ?, ?, ?)", [*after.values()]
            )
        elif chosen.random() < 0.25:
            after = None
            self._session.execute("DELETE FROM app.events WHERE id = ?", [key])
        else:
            self._session.execute(
                "UPDATE app.events SET version = ?, kind = ?, n = ? WHERE id = ?",
                [after["version"], after["kind"], after["n"], key],
            )
        self.histories[key].append(after)


class Listener:
    """One filter's changes, over as many connections as it takes."""

    def __init__(self, served: Served, number: int, one: Filter, seed: int, figures: Figures) -> None:
        self.filter = one
        self.name = f"listener {number} ({one.sql})"
        self.rows: dict[int, Row] = {}
        """What was there when it began."""
        self.told: list[Change] = []
        self._chosen = random.Random(f"{seed} {number}")
        query = self._chosen.choice(["", "serialization=msgpack", "compression=gzip"])
        self._url = f"ws://127.0.0.1:{served.port}/v1/ws?{query}"
        self._token = token_of(served.db, "ann")
        self._figures = figures
        self._place: str | None = None
        self._seen: set[tuple[str, str]] = set()
        self._ended = False

    async def run(self) -> None:
        if self._chosen.random() < 0.5:
            await asyncio.sleep(self._chosen.random())
        while not self._ended:
            with contextlib.suppress(ConnectionClosed):
                async with connect(
                    self._url,
                    additional_headers={"Authorization": f"Bearer {self._token}"},
                    compression=None,
                    proxy=None,
                    open_timeout=60,
                ) as connection:
                    await self._listen(connection)

    async def _listen(self, connection: ClientConnection) -> None:
        options: dict[str, object] = {"batch_size": self._chosen.choice([7, 1000])}
        if self._place is not None:
            options = {"from": self._place}
            self._figures.resumed += 1
        else:
            self._figures.begun += 1
            self.rows = {}
        await connection.send(
            _text(
                {"type": "subscribe", "subscription": {"id": "s", "sql": self.filter.sql, "options": options}}
            )
        )
        stay = self._chosen.randrange(1, 80)
        loaded = self._place is not None
        while not self._ended:
            message = read(await connection.recv())
            match message["type"]:
                case "initial_data_batch":
                    self.rows |= {int(row["id"]): _plain(row) for row in message["rows"]}
                    if message["batch_control"]["has_more"]:
                        await connection.send(_text({"type": "next_batch", "subscription_id": "s"}))
                    elif not loaded:
                        loaded = True
                        self._place = message["batch_control"]["last_seq_id"]
                        self._ended = self.rows.pop(LAST, None) is not None
                case "change":
                    self._take(message)
                    stay -= 1
                case "error":
                    self._figures.findings.append(f"{self.name}: {message}")
                    self._ended = True
            if stay <= 0 and loaded and not self._ended:
                # As a cable that is pulled: what is on its way is lost.
                connection.transport.abort()
                return

    def _take(self, message: Row) -> None:
        kind = message["change_type"]
        rows = message["old_values"] if kind == "delete" else message["rows"]
        for row in rows:
            key = (row["id"], row["_seq"])
            if key in self._seen:
                self._figures.findings.append(f"{self.name}: told twice: {kind} {row}")
            self._seen.add(key)
            if self._place is not None and int(row["_seq"]) < int(self._place):
                self._figures.findings.append(f"{self.name}: out of order: {kind} {row}")
            self._place = row["_seq"]
            if int(row["id"]) == LAST:
                self._ended = True
            else:
                self.told.append((kind, _plain(row)))


def expected(history: list[Row | None], one: Filter) -> list[Change]:
    """What somebody is told of a key who listens from the beginning."""
    found: list[Change] = []
    for before, after in itertools.pairwise(history):
        was, is_now = before is not None and one.holds(before), after is not None and one.holds(after)
        if is_now:
            assert after is not None
            found.append(("update" if was else "insert", after))
        elif was:
            assert before is not None
            found.append(("delete", before))
    return found


def check(listener: Listener, histories: dict[int, list[Row | None]], figures: Figures) -> None:
    """Compare what a listener was told with what it must have been."""
    by_key: dict[int, list[Change]] = collections.defaultdict(list)
    for kind, row in listener.told:
        by_key[row["id"]].append((kind, row))
    for key, history in histories.items():
        wanted = expected(history, listener.filter)
        told = by_key.get(key, [])
        before = wanted[: len(wanted) - len(told)]
        there = before[-1][1] if before and before[-1][0] != "delete" else None
        if wanted[len(before) :] != told:
            figures.findings.append(f"{listener.name}: of {key} it was told {told}, not the last of {wanted}")
        elif listener.rows.get(key) != there:
            figures.findings.append(
                f"{listener.name}: {key} began with {listener.rows.get(key)}, not {there}"
            )
    figures.changes += len(listener.told)


def prove(seed: int, commits: int, listeners: int) -> Figures:
    """So many commits, four writers, so many listeners."""
    figures = Figures(commits=commits)
    chosen = random.Random(seed)
    with served_events() as served:
        made = [
            Listener(served, number, one, seed, figures)
            for number, one in enumerate(filters(chosen, listeners))
        ]
        writers = [Writer(served.db, number, seed, commits // WRITERS) for number in range(WRITERS)]
        threads = [threading.Thread(target=writer.run) for writer in writers]

        def write() -> None:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            served.db.execute("INSERT INTO app.events (id, version, kind, n) VALUES (?, 0, 0, 0)", [LAST])

        writing = threading.Thread(target=write)

        async def run() -> None:
            async with asyncio.timeout(DEADLINE_S + commits / 20):
                listening = [asyncio.ensure_future(listener.run()) for listener in made]
                while figures.begun < listeners // 3:
                    await asyncio.sleep(0.01)
                writing.start()
                await asyncio.gather(*listening)

        asyncio.run(run())
        writing.join()
        histories = {key: history for writer in writers for key, history in writer.histories.items()}
        for listener in made:
            check(listener, histories, figures)
        until = time.monotonic() + 20
        while len(served.db.live) and time.monotonic() < until:
            time.sleep(0.01)
        if len(served.db.live):
            figures.findings.append(f"{len(served.db.live)} live queries are left over")
    return figures


@contextlib.contextmanager
def served_events() -> Iterator[Served]:
    """A database with app.events, without limits."""
    with (
        tempfile.TemporaryDirectory(prefix="listeners-") as directory,
        kalamdb.open(
            Path(directory) / "data",
            durability="normal",
            websocket_messages_per_s_max=None,
            statements_waiting_max=100_000,
            wal_file_bytes=1 << 20,
            memtable_bytes=1 << 18,
        ) as db,
    ):
        db.execute("CREATE NAMESPACE app")
        db.execute("CREATE SHARED TABLE app.events (id BIGINT PRIMARY KEY, version INT, kind INT, n INT)")
        db.execute("CREATE USER ann WITH ROLE user")
        with Served(db, **server_options(db.settings)) as served:
            yield served


def _plain(row: Row) -> Row:
    return {name: int(row[name]) if name == "id" else row[name] for name in COLUMNS}


def _text(message: Row) -> str:
    import orjson

    return orjson.dumps(message).decode()

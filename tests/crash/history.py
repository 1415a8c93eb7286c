"""A scripted run of every kind of statement, beside a model of what it must leave.

The run is on a memory file system that remembers its disk after every operation, and lives several lives: the
database is closed and opened, killed and opened, and loses its power and is opened. `Life.steps` says for each
statement between which operations it ran, and what the database held once it was acknowledged.
"""

from __future__ import annotations

import datetime
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from kalamcore.errors import ColdMissError
from kalamcore.system import Clock, FileSystem, RandomSource
from kalamdb.database import Database
from kalamdb.errors import Error
from kalamdb.schema import TableKind
from kalamdb.session import Session
from kalamdb.settings import Settings

DIRECTORY = "/database"
EPOCH_US = 1_893_456_000_000_000  # 2030-01-01Z
USERS = ("alice", "bob", "carol")
SETTINGS = Settings(wal_file_bytes=64 << 10)
SMALL_MEMTABLE_BYTES = 8 << 10
WORDS = ("", "a", "hello", "héllo ✓", "x" * 40, "line\nbreak", "it's")


@dataclass(frozen=True)
class State:
    """What a database holds, small enough to keep three hundred of: two are equal if it is the same."""

    catalog: int
    rows: tuple[tuple[str, bytes, int, int], ...]
    """(table, partition, versions, digest of their values and sequence numbers), STREAM tables left out."""


def state_of(db: Database, *, sequences: bool = True) -> State:
    """Catalog and rows, deleted ones included, and their sequence numbers where wanted."""
    catalog = db.catalog
    rows = []
    for name, schema in sorted(catalog.tables.items()):
        if schema.kind is TableKind.STREAM:
            continue
        reader = db.engine.rows(schema, catalog.history[schema.table_id]).reader
        columns = [*range(len(schema.columns)), *([-1] if sequences else []), -3]
        for partition in db.engine.store.partitions(schema.table_id):
            found = scanned(db, schema.table_id, partition, reader, columns, deleted=True)
            if found:
                rows.append((".".join(name), partition, len(found), hash(tuple(found))))
    names = sorted(catalog.tables.items()), sorted(catalog.views.items()), sorted(catalog.namespaces.items())
    return State(hash(repr((names, sorted(catalog.storages.items())))), tuple(rows))


def scanned(
    db: Database, table_id: int, partition: bytes, reader: Any, columns: list[int], *, deleted: bool = False
) -> list[tuple[Any, ...]]:
    """A partition's rows in whatever tier they are."""
    held: list[object] = []
    while True:
        try:
            return db.engine.store.scan(
                table_id, partition, db.engine.snapshot(), reader, columns, deleted=deleted
            )
        except ColdMissError as miss:
            held += db.engine.load_cold(miss)


@dataclass
class Step:
    """One statement. It ran between the operations `begun` and `done` of its life."""

    text: str
    begun: int
    done: int
    synced: bool
    """Acknowledged with durability full."""
    state: State
    sequence: int
    """The highest number that a row has, as far as rows are kept."""
    snowflake: int


@dataclass
class Life:
    """From one opening of the database to its end: what stood on the disk, and what was acknowledged when."""

    files: FileSystem
    first: State
    sequence: int
    snowflake: int
    steps: list[Step] = field(default_factory=list)


@dataclass
class Table:
    """What one table must hold."""

    name: str
    kind: str
    columns: dict[str, Any]
    """name: the default that a row has which does not name it."""
    text_key: bool = False
    rows: dict[str, dict[Any, dict[str, Any]]] = field(default_factory=dict)

    def of(self, user: str) -> dict[Any, dict[str, Any]]:
        return self.rows.setdefault("" if self.kind == "SHARED" else user, {})


def open_database(
    files: FileSystem,
    now_us: int,
    seed: int = 1,
    durability: str = "full",
    memtable_bytes: int = SETTINGS.memtable_bytes,
) -> Database:
    """A database on `files`, with a clock that stands still and random bytes of its own."""
    settings = SETTINGS.with_overrides({"durability": durability, "memtable_bytes": memtable_bytes})
    return Database(files, DIRECTORY, settings, clock=Clock.manual(now_us), random=RandomSource.seeded(seed))


class History:
    """Runs the script. `lives` is what the checker needs; two runs with one seed run the same statements."""

    def __init__(self, seed: int, statements: int = 300) -> None:
        self.dice = random.Random(seed)
        self.now_us = EPOCH_US
        self.opened = seed * 1000
        self.tables: dict[str, Table] = {}
        self.views: list[str] = []
        self.storages: list[str] = []
        self.made = 0
        self.snowflake = 0
        self.lives: list[Life] = []
        self.count = 0
        self.begin_life(FileSystem.memory())
        self.create_tables()
        ends = {statements * n // 6: end for n, end in enumerate((self.close, self.kill, self.cut) * 2, 1)}
        while self.count < statements:
            if self.count in ends:
                ends.pop(self.count)()
            self.normal = statements * 0.55 < self.count < statements * 0.65
            self.choose()()
        self.db.close()

    # Lives

    def begin_life(self, files: FileSystem) -> None:
        self.normal = False
        self.opened += 1
        files.record()
        # In every other life rows also leave memory by themselves, whenever that thread gets its turn.
        memtable_bytes = SMALL_MEMTABLE_BYTES if len(self.lives) % 2 else SETTINGS.memtable_bytes
        self.db = open_database(files, self.now_us, self.opened, memtable_bytes=memtable_bytes)
        self.clock = self.db._clock
        before = self.lives[-1].steps[-1] if self.lives else None
        life = Life(
            files,
            before.state if before else state_of(self.db),
            before.sequence if before else 0,
            self.snowflake,
        )
        assert state_of(self.db) == life.first, "a reopened database holds what it held"
        self.lives.append(life)
        for table in self.tables.values():
            if table.kind == "STREAM":
                table.rows = {}

    def close(self) -> None:
        files = self.lives[-1].files
        self.db.close()
        self.begin_life(files.crash("none"))

    def kill(self) -> None:
        self.begin_life(self.lives[-1].files.crash("none"))

    def cut(self) -> None:
        # What was acknowledged with durability normal would be lost by right; the script goes on with all of it.
        self.normal = False
        self.insert_one()
        self.begin_life(self.lives[-1].files.crash("subset", seed=self.dice.getrandbits(32)))

    def step(self, text: str, work: Callable[[], Any], refused: str | None = None) -> Any:
        """Runs one statement, and notes what it left; `refused`: the code of the error that it must end with."""
        self.count += 1
        self.now_us += self.dice.choice((0, 1, 1000, 250_000))
        if self.count % 97 == 0:
            self.now_us -= 3_600_000_000
        self.clock.set(self.now_us)
        files = self.lives[-1].files
        begun = files.recorded()
        result = None
        try:
            result = work()
            assert refused is None, f"{text} must be refused with {refused}"
        except Error as error:
            assert error.code == refused, f"{text}: {error}"  # noqa: PT017 - most statements raise nothing
        done = files.recorded()
        state = state_of(self.db)
        life = self.lives[-1]
        changed = state != (life.steps[-1].state if life.steps else life.first)
        sequence = (life.steps[-1] if life.steps else life).sequence
        if changed:  # rows of streams take numbers that nothing keeps
            sequence = self.db.engine.store.statistics()["last_sequence"]
        # One that changes nothing that is kept (a lease of ids, a row of a stream) syncs nothing either.
        synced = not self.normal and changed
        self.lives[-1].steps.append(Step(text, begun, done, synced, state, sequence, self.snowflake))
        return result

    def session(self, user: str = "root") -> Session:
        role = "system" if user == "root" else "service"
        return self.db.session(user, role, durability="normal" if self.normal else "full")

    # The script

    def choose(self) -> Callable[[], None]:
        actions: list[tuple[Callable[[], None], int]] = [
            (self.insert_one, 20),
            (self.insert_many, 12),
            (self.upsert, 12),
            (self.update, 14),
            (self.delete, 10),
            (self.stream, 5),
            (self.refused_insert, 4),
            (self.alter, 7),
            (self.make_or_drop_table, 5),
            (self.view, 5),
            (self.namespace, 3),
            (self.automatic, 4),
            (self.storage, 4),
            (self.checkpoint, 4),
            (self.flush, 3),
            (self.compact, 2),
        ]
        if hasattr(Session, "transaction"):
            actions.append((self.transaction, 10))
        return self.dice.choices([action for action, _ in actions], [weight for _, weight in actions])[0]

    def create_tables(self) -> None:
        self.step("CREATE NAMESPACE app", lambda: self.db.execute("CREATE NAMESPACE app"))
        for name, kind, text_key in (
            ("app.shared", "SHARED", False),
            ("app.words", "SHARED", True),
            ("app.notes", "USER", False),
            ("app.tags", "USER", True),
        ):
            self.create(name, kind, text_key)
        sql = "CREATE STREAM TABLE app.typing (id BIGINT PRIMARY KEY AUTO_INCREMENT, who TEXT) TTL 3600"
        self.step(sql, lambda: self.db.execute(sql))
        sql = "CREATE SHARED TABLE app.automatic (id BIGINT PRIMARY KEY AUTO_INCREMENT, n BIGINT)"
        self.step(sql, lambda: self.db.execute(sql))

    def create(self, name: str, kind: str, text_key: bool) -> None:
        key = "TEXT" if text_key else "BIGINT"
        sql = f"CREATE {kind} TABLE {name} (id {key} PRIMARY KEY, body TEXT DEFAULT 'none', n INT, at TIMESTAMP)"
        self.step(sql, lambda: self.db.execute(sql))
        self.tables[name] = Table(name, kind, {"body": "none", "n": None, "at": None}, text_key)

    def pick(self) -> tuple[Table, str, Session]:
        table = self.dice.choice(list(self.tables.values()))
        user = self.dice.choice(USERS) if table.kind == "USER" else "root"
        return table, user, self.session(user)

    def key(self, table: Table, rows: dict[Any, Any], *, new: bool) -> Any:
        if not new and rows:
            return self.dice.choice(list(rows))
        while True:
            number = self.dice.randrange(-(10**6), 10**6)
            key = f"k{number} {self.dice.choice(WORDS[:4])}" if table.text_key else number
            if key not in rows:
                return key

    def values(self, table: Table) -> dict[str, Any]:
        chosen: dict[str, Any] = {}
        for name in table.columns:
            if self.dice.random() < 0.25:
                continue
            if name == "n":
                chosen[name] = self.dice.randrange(1000)
            elif name == "at":
                moment = datetime.datetime.fromtimestamp(self.dice.randrange(10**9), datetime.UTC)
                chosen[name] = moment
            elif name.startswith("count"):
                chosen[name] = self.dice.randrange(-5, 5)
            else:
                chosen[name] = self.dice.choice(WORDS)
        return chosen

    def check(self, table: Table, user: str) -> None:
        """The database agrees with the model on one user's rows."""
        names = ["id", *table.columns]
        schema = self.db.catalog.tables[tuple(table.name.split("."))]
        rows = self.db.engine.rows(schema, self.db.catalog.history[schema.table_id])
        by_name = {column.name: position for position, column in enumerate(schema.columns)}
        found = scanned(
            self.db,
            schema.table_id,
            rows.partition(user),
            rows.reader,
            [by_name[name] for name in names],
        )
        wanted = {
            (key, *(_stored(row[name]) for name in table.columns)) for key, row in table.of(user).items()
        }
        assert {tuple(_stored(value) for value in row) for row in found} == wanted, (
            self.lives[-1].steps[-1].text
        )

    def write(self, table: Table, user: str, text: str, work: Callable[[], Any]) -> None:
        self.step(f"{text} as {user}", work)
        self.check(table, user)

    def insert_one(self) -> None:
        self._insert(1)

    def insert_many(self) -> None:
        self._insert(self.dice.choice((2, 3, 5, 10, 20, 60, 150, 500) if self.count % 3 else (2, 10, 40)))

    def _insert(self, count: int) -> None:
        table, user, session = self.pick()
        rows = table.of(user)
        given = self.values(table)
        names = ["id", *given]
        new: dict[Any, list[Any]] = {}
        while len(new) < count:
            key = self.key(table, {**rows, **new}, new=True) if count < 9 else self.key(table, {}, new=True)
            if key not in rows:
                given = {
                    **given,
                    **{name: value for name, value in self.values(table).items() if name in given},
                }
                new[key] = [key, *given.values()]
        places = ", ".join("?" * len(names))
        columns = ", ".join(names)
        if self.dice.random() < 0.5:
            sql = f"INSERT INTO {table.name} ({columns}) VALUES ({places})"
            self.write_model = lambda: session.executemany(sql, list(new.values()))
        else:
            sql = f"INSERT INTO {table.name} ({columns}) VALUES {', '.join([f'({places})'] * count)}"
            flat = [value for row in new.values() for value in row]
            self.write_model = lambda: session.execute(sql, flat)
        for key, row in new.items():
            rows[key] = {**table.columns, **dict(zip(names[1:], row[1:], strict=True))}
        self.write(table, user, f"INSERT of {count} into {table.name}", self.write_model)

    def upsert(self) -> None:
        table, user, session = self.pick()
        rows = table.of(user)
        count = self.dice.choice((1, 1, 2, 7))
        keys = list({self.key(table, rows, new=self.dice.random() < 0.5): None for _ in range(count)})
        bodies = [self.dice.choice(WORDS) for _ in keys]
        sql = (
            f"INSERT INTO {table.name} (id, body) VALUES {', '.join(['(?, ?)'] * len(keys))} "
            "ON CONFLICT (id) DO UPDATE SET body = excluded.body"
        )
        flat = [value for pair in zip(keys, bodies, strict=True) for value in pair]
        for key, body in zip(keys, bodies, strict=True):
            rows[key] = {**rows.get(key, table.columns), "body": body}
        self.write(
            table, user, f"upsert of {len(keys)} into {table.name}", lambda: session.execute(sql, flat)
        )

    def update(self) -> None:
        table, user, session = self.pick()
        rows = table.of(user)
        body = self.dice.choice(WORDS)
        if self.dice.random() < 0.6:
            key = self.key(table, rows, new=False)
            touched = [key] if key in rows else []
            sql, values = f"UPDATE {table.name} SET body = ? WHERE id = ?", [body, key]
        else:
            low = self.dice.randrange(1000)
            touched = [
                key for key, row in rows.items() if row["n"] is not None and low <= row["n"] < low + 80
            ]
            sql, values = f"UPDATE {table.name} SET body = ? WHERE n >= ? AND n < ?", [body, low, low + 80]
        for key in touched:
            rows[key] = {**rows[key], "body": body}
        self.write(table, user, sql, lambda: session.execute(sql, values))

    def delete(self) -> None:
        table, user, session = self.pick()
        rows = table.of(user)
        if self.dice.random() < 0.7:
            key = self.key(table, rows, new=False)
            gone = [key] if key in rows else []
            sql, values = f"DELETE FROM {table.name} WHERE id = ?", [key]
        else:
            low = self.dice.randrange(1000)
            gone = [key for key, row in rows.items() if row["n"] is not None and low <= row["n"] < low + 150]
            sql, values = f"DELETE FROM {table.name} WHERE n >= ? AND n < ?", [low, low + 150]
        for key in gone:
            del rows[key]
        self.write(table, user, sql, lambda: session.execute(sql, values))

    def stream(self) -> None:
        user = self.dice.choice(USERS)
        self.step(
            f"INSERT into a stream as {user}",
            lambda: self.session(user).execute("INSERT INTO app.typing (who) VALUES (?)", [user]),
        )

    def automatic(self) -> None:
        sql = "INSERT INTO app.automatic (n) VALUES (?) RETURNING id"
        before = self.snowflake

        def work() -> None:
            self.snowflake = max(self.snowflake, *(row[0] for row in self.db.execute(sql, [self.count])))

        self.step(sql, work)
        assert self.snowflake > before, "Snowflake ids rise"

    def refused_insert(self) -> None:
        """The last row's key is there: not one row of the statement may stay."""
        table, user, session = self.pick()
        rows = table.of(user)
        if not rows:
            return
        keys = [self.key(table, rows, new=True) for _ in range(3)] + [self.key(table, rows, new=False)]
        if len(set(keys)) < 4:
            return
        sql = f"INSERT INTO {table.name} (id) VALUES (?), (?), (?), (?)"
        self.step(f"refused: {sql}", lambda: session.execute(sql, keys), refused="UNIQUE_VIOLATION")
        self.check(table, user)

    def alter(self) -> None:
        table = self.dice.choice(list(self.tables.values()))
        added = [name for name in table.columns if name.startswith(("word", "count"))]
        self.made += 1
        kind = self.dice.choice(("add", "add", "rename", "drop", "default", "widen"))
        if kind == "add" or not added:
            if self.dice.random() < 0.5:
                name, rest, default = f"word{self.made}", "TEXT DEFAULT 'new'", "new"
            else:
                name, rest, default = f"count{self.made}", "INT NOT NULL DEFAULT 7", 7
            sql = f"ALTER TABLE {table.name} ADD COLUMN {name} {rest}"
            table.columns[name] = default
            for rows in table.rows.values():
                for row in rows.values():
                    row[name] = default
        elif kind == "drop":
            name = self.dice.choice(added)
            sql = f"ALTER TABLE {table.name} DROP COLUMN {name}"
            del table.columns[name]
            for rows in table.rows.values():
                for row in rows.values():
                    row.pop(name, None)
        elif kind == "rename":
            name = self.dice.choice(added)
            new = f"{name.rstrip('0123456789')}{self.made}"
            sql = f"ALTER TABLE {table.name} RENAME COLUMN {name} TO {new}"
            table.columns = {new if key == name else key: value for key, value in table.columns.items()}
            for rows in table.rows.values():
                for row in rows.values():
                    row[new] = row.pop(name)
        elif kind == "default":
            sql = f"ALTER TABLE {table.name} ALTER COLUMN body SET DEFAULT 'd{self.made}'"
            table.columns["body"] = f"d{self.made}"
        else:
            sql = f"ALTER TABLE {table.name} ALTER COLUMN n TYPE BIGINT"
        self.step(sql, lambda: self.db.execute(sql))
        for user in USERS if table.kind == "USER" else ("root",):
            self.check(table, user)

    def make_or_drop_table(self) -> None:
        temporary = [name for name in self.tables if ".t" in name and name != "app.tags"]
        if temporary and self.dice.random() < 0.5:
            name = self.dice.choice(temporary)
            self.step(f"DROP TABLE {name}", lambda: self.db.execute(f"DROP TABLE {name}"))
            del self.tables[name]
        else:
            self.made += 1
            kind = self.dice.choice(("USER", "SHARED"))
            self.create(f"app.t{self.made % 4}x{self.made}", kind, self.dice.random() < 0.5)

    def view(self) -> None:
        self.made += 1
        if self.views and self.dice.random() < 0.4:
            sql = f"DROP VIEW {self.views.pop()}"
        elif self.views and self.dice.random() < 0.4:
            sql = f"CREATE OR REPLACE VIEW {self.views[-1]} AS SELECT id, n FROM app.shared WHERE n > {self.made}"
        else:
            self.views.append(f"app.v{self.made}")
            sql = f"CREATE VIEW {self.views[-1]} AS SELECT id FROM app.shared WHERE n < {self.made}"
        self.step(sql, lambda: self.db.execute(sql))

    def namespace(self) -> None:
        self.made += 1
        if self.dice.random() < 0.5:
            sql = f"ALTER NAMESPACE app SET OPTIONS (made = {self.made})"
        else:
            sql = f"CREATE NAMESPACE space{self.made}"
        self.step(sql, lambda: self.db.execute(sql))

    def storage(self) -> None:
        """A place for cold rows: made, changed, dropped."""
        self.made += 1
        if self.storages and self.dice.random() < 0.4:
            sql = f"DROP STORAGE {self.storages.pop()}"
        elif self.storages and self.dice.random() < 0.5:
            of_s3 = self.db.catalog.storages[self.storages[-1]].type == "s3"
            uri = f"URI '{'s3://moved/' if of_s3 else 'moved'}{self.made}'"
            sql = f"ALTER STORAGE {self.storages[-1]} SET {self.dice.choice((uri, 'DESCRIPTION ' + repr(uri[:3])))}"
        else:
            self.storages.append(f"place{self.made}")
            sql = f"CREATE STORAGE {self.storages[-1]} TYPE s3 URI 's3://bucket/{self.made}' CREDENTIALS "
            sql += """'{"access_key_id": "key", "secret_access_key": "secret"}'"""
            if self.dice.random() < 0.5:
                sql = f"CREATE STORAGE {self.storages[-1]} TYPE filesystem URI 'place{self.made}'"
        self.step(sql, lambda: self.db.execute(sql))

    def checkpoint(self) -> None:
        """Rows move to segments, and nobody sees it."""
        self._move("checkpoint", self.db.checkpoint)

    def flush(self) -> None:
        """Those of one table move to cold segments."""
        name = self.dice.choice(list(self.tables))
        self._move(f"flush of {name}", lambda: self.db.flush(name))

    def compact(self) -> None:
        """A table's cold segments become one."""
        name = self.dice.choice(list(self.tables))
        self._move(f"compaction of {name}", lambda: self.db.compact(name))

    def _move(self, what: str, work: Callable[[], object]) -> None:
        before = state_of(self.db)
        self.step(what, work)
        assert self.lives[-1].steps[-1].state == before, f"a {what} changes no row"

    def transaction(self) -> None:
        """Rows of several tables and users' partitions in one commit, or, rolled back, in none."""
        table, user, session = self.pick()
        others = [one for one in self.tables.values() if one.kind == table.kind or one.kind == "SHARED"]
        chosen = [table, self.dice.choice(others)]
        keys = [self.key(one, one.of(user), new=True) for one in chosen]
        if chosen[0] is chosen[1] and keys[0] == keys[1]:
            return
        back = self.dice.random() < 0.3

        def work() -> None:
            session.begin()
            for one, key in zip(chosen, keys, strict=True):
                session.execute(f"INSERT INTO {one.name} (id) VALUES (?)", [key])
            if back:
                session.rollback()
            else:
                session.commit()

        if not back:
            for one, key in zip(chosen, keys, strict=True):
                one.of(user)[key] = dict(one.columns)
        self.step(f"transaction over {[one.name for one in chosen]} as {user}", work)
        for one in chosen:
            self.check(one, user)


def _stored(value: object) -> object:
    return value.replace(tzinfo=None) if isinstance(value, datetime.datetime) else value

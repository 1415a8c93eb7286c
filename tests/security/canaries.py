"""Users whose every row carries their canary ask for whatever can be asked; no other user's canary may come back.

Fifty users with the same keys, in USER and STREAM tables, beside SHARED ones that are public, private and restricted.
Eight threads share the users' sessions and their cached and prepared statements. What comes out is all that a caller
can see: rows, names, messages, errors, plans, and what was logged meanwhile. Half of the users never write: their
rows are the same in the end.
"""

from __future__ import annotations

import contextlib
import logging
import random
import threading
import warnings
from collections.abc import Callable, Iterator

import kalamdb
from kalamdb.database import Database
from kalamdb.session import Session
from tests.crash.failures import Figures

USERS = [f"user{number:02d}" for number in range(50)]
BYSTANDERS = frozenset(USERS[1::2])
SERVICES = frozenset(USERS[::10])
THREADS = 8
WHOLE = 20_000
"""Queries of the proof."""
ROWS = 8
HIDDEN = "canary-hidden-7f3a"
"""Stands in tables that none of them may read."""
Ask = Callable[[str, str, random.Random], str]
"""Of a user, a text and dice: all that the caller gets to see."""
Road = Callable[[Database], contextlib.AbstractContextManager[Ask]]
"""How users come to their rows: the sessions of the database, or a server of it."""


def canary(user: str) -> str:
    """What every row of the user carries."""
    return f"canary-{user}-{user.encode().hex()}"


SOURCES = [
    "app.mine",
    "app.mine AS m",
    "mine",
    "app.view",
    "app.deep",
    "app.stream",
    "(SELECT * FROM app.mine) AS q",
    "(SELECT body, n FROM app.mine UNION ALL SELECT body, n FROM app.stream) AS q",
    "app.mine JOIN app.words AS w ON w.id = app.mine.n",
    "app.mine AS a JOIN app.mine AS b USING (id, body, n)",
    "(VALUES (1)) AS v(x) CROSS JOIN app.mine",
    "kalam.app.mine",
    '"app"."mine"',
    "app.closed",
    "app.hidden",
    "app.hidden_view",
    "all_users.app.mine",
    "_kalam.users",
    "system.users",
    "system.audit_log",
]
PREDICATES = [
    "TRUE",
    "body LIKE 'canary%'",
    "n >= {number}",
    "n IN (0, {number}, NULL)",
    "body <> CURRENT_USER()",
    "body = '{foreign}' OR n = {number}",
    "body > '{foreign}'",
    "n = (SELECT max(n) FROM app.mine)",
    "EXISTS (SELECT 1 FROM {source} WHERE body IS NOT NULL)",
    "body IN (SELECT body FROM {source})",
    "body NOT IN (SELECT body FROM app.mine WHERE n < {number})",
    "1 / (length(body) - length(body)) = {number}",
    "CAST(body AS BIGINT) = {number}",
    "regexp_like(body, 'canary-user..')",
    "CASE WHEN body LIKE '%{number}' THEN TRUE ELSE FALSE END",
]
SHAPES = [
    "SELECT * FROM {source} WHERE {predicate}",
    "SELECT body FROM {source} WHERE {predicate} ORDER BY body DESC LIMIT {number}",
    "SELECT body, count(*) FROM {source} WHERE {predicate} GROUP BY body HAVING count(*) > 0",
    "SELECT max(body), min(body), string_agg(body, ',') FROM {source} WHERE {predicate}",
    "SELECT array_agg(body) FROM {source} WHERE {predicate}",
    "SELECT (SELECT max(body) FROM {source} WHERE {predicate}) AS b",
    "WITH c AS (SELECT body FROM {source} WHERE {predicate}) SELECT c.body FROM c UNION SELECT body FROM app.mine",
    "SELECT w.word, x.body FROM app.words w LEFT JOIN (SELECT body FROM {source} WHERE {predicate}) x ON TRUE",
    "SELECT body, row_number() OVER (PARTITION BY n ORDER BY body) FROM {source} WHERE {predicate}",
    "SELECT body FROM {source} WHERE {predicate} INTERSECT SELECT body FROM app.mine",
    "SELECT body FROM {source} EXCEPT SELECT body FROM app.mine WHERE {predicate}",
    "SELECT count(*) FROM {source} WHERE {predicate}",
    "EXPLAIN SELECT body FROM {source} WHERE {predicate}",
    "EXPLAIN ANALYZE SELECT body FROM {source} WHERE {predicate}",
    "SELECT _seq, _updated, body FROM {source} WHERE {predicate}",
    "SELECT body, _deleted FROM {source} WHERE _deleted OR {predicate}",
]
FIXED = [
    "SELECT * FROM app.mine WHERE id = {number}",
    "SELECT body FROM app.mine WHERE id > {number} ORDER BY id DESC LIMIT 3",
    "SELECT count(*) FROM app.mine",
    "SELECT * FROM system.tables",
    "SELECT * FROM system.columns",
    "SELECT * FROM system.schemas",
    "SELECT * FROM system.namespaces",
    "SELECT * FROM system.jobs",
    "SELECT * FROM system.stats",
    "SELECT * FROM system.live_queries",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM information_schema.columns",
    "SELECT * FROM information_schema.table_privileges",
    "SHOW TABLES",
    "SHOW NAMESPACES",
    "SHOW JOBS",
    "SHOW STATS FOR TABLE app.mine",
    "SHOW STATS FOR TABLE app.hidden",
    "DESCRIBE TABLE app.mine HISTORY",
    "DESCRIBE TABLE app.hidden",
    "EXECUTE AS USER '{other}' (SELECT * FROM app.mine)",
    "EXPORT USER DATA FOR '{other}' TO '/tmp/nowhere'",
]
WRITES = [
    "UPDATE app.mine SET n = n WHERE {predicate} RETURNING *",
    "UPDATE app.mine SET n = {number} WHERE id = {number} RETURNING body",
    "INSERT INTO app.mine VALUES ({number}, CURRENT_USER(), 1)",
    "INSERT INTO app.mine VALUES ({number}, '{own}', 1) ON CONFLICT (id) DO UPDATE SET n = excluded.n RETURNING *",
    "INSERT INTO app.mine SELECT id + 100, body, n FROM {source} WHERE {predicate} ON CONFLICT DO NOTHING RETURNING *",
    "INSERT INTO app.mine SELECT id + 200, body, n FROM app.mine ON CONFLICT DO NOTHING RETURNING body",
    "DELETE FROM app.mine WHERE id >= 100 RETURNING body",
    "DELETE FROM app.mine WHERE {predicate} AND id >= 100",
    "INSERT INTO app.stream (body, n) VALUES ('{own}', {number}) RETURNING *",
    "INSERT INTO app.words VALUES ({number}, 'a word')",
    "UPDATE app.hidden SET body = '{own}'",
    "DELETE FROM app.closed",
    "UPDATE all_users.app.mine SET body = '{own}'",
]


def populate(db: Database) -> None:
    """Everybody's rows, hot and cold, and what nobody of them may read."""
    db.execute("CREATE NAMESPACE app")
    db.execute("CREATE USER TABLE app.mine (id BIGINT PRIMARY KEY, body TEXT NOT NULL, n BIGINT)")
    db.execute(
        "CREATE STREAM TABLE app.stream (id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(), body TEXT, n BIGINT) TTL 36000"
    )
    db.execute("CREATE TABLE app.words (id BIGINT PRIMARY KEY, word TEXT)")
    db.execute("INSERT INTO app.words VALUES (1, 'one'), (2, 'two'), (3, 'three')")
    for name, access in (("closed", "restricted"), ("hidden", "restricted")):
        db.execute(f"CREATE TABLE app.{name} (id BIGINT PRIMARY KEY, body TEXT, n BIGINT) ACCESS {access}")
        db.execute(f"INSERT INTO app.{name} VALUES (1, '{HIDDEN}', 1)")
    db.execute("CREATE VIEW app.view AS SELECT body, n FROM app.mine")
    db.execute(
        "CREATE VIEW app.deep AS SELECT v.body, v.n, w.word FROM app.view v JOIN app.words w ON w.id = v.n"
    )
    db.execute("CREATE VIEW app.hidden_view AS SELECT * FROM app.hidden")
    for user in USERS:
        db.execute(f"CREATE USER {user} ROLE {'service' if user in SERVICES else 'user'}")
        session = db.session(user)
        session.executemany(
            "INSERT INTO app.mine VALUES (?, ?, ?)", [(n, canary(user), n % 4) for n in range(ROWS)]
        )
        session.execute("INSERT INTO app.stream (body, n) VALUES (?, 1), (?, 2)", [canary(user)] * 2)
        session.execute(f"DELETE FROM app.mine WHERE id = {ROWS - 1}")
    db.flush("app.mine")
    for user in USERS[::3]:
        db.session(user).execute("UPDATE app.mine SET n = 3 WHERE id = 2")
    db.checkpoint()


def a_query(dice: random.Random, user: str) -> str:
    """One of any shape, with the names and canaries of others in it. Who is a bystander only reads."""
    other = dice.choice([one for one in USERS if one != user])
    if user not in BYSTANDERS and dice.random() < 0.25:
        shape = dice.choice(WRITES)
    else:
        shape = dice.choice(FIXED) if dice.random() < 0.3 else dice.choice(SHAPES)
    names = {
        "number": dice.randrange(ROWS),
        "foreign": canary(other)[:-1],
        "own": canary(user),
        "other": other,
    }
    source = dice.choice(SOURCES)
    predicate = dice.choice(PREDICATES).replace("{source}", source)
    return shape.replace("{source}", source).replace("{predicate}", predicate).format(**names)


@contextlib.contextmanager
def embedded(db: Database) -> Iterator[Ask]:
    """Sessions that all threads share."""
    pool = {user: db.session(user, namespace="app") for user in USERS}
    yield lambda user, sql, dice: _out(pool[user], sql, dice)


def _out(session: Session, sql: str, dice: random.Random) -> str:
    try:
        result = session.prepare(sql).execute() if dice.random() < 0.2 else session.execute(sql)
        rows = result.fetchall() if result.columns else []
        return repr((result.columns, rows, result.message, result))
    except kalamdb.Error as error:
        return repr((error.message, error.args, error.position, error.__cause__, error.__context__))


class _Kept(logging.Handler):
    """Every line that is logged."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage() + str(record.exc_info))


def prove(seed: int, queries: int = WHOLE, road: Road = embedded) -> Figures:
    """Ask so many queries by this road, over eight threads."""
    figures = Figures()
    kept = _Kept()
    logger = logging.getLogger("kalamdb")
    logger.addHandler(kept)
    lock = threading.Lock()
    marks = {user: canary(user) for user in USERS}
    try:
        with (
            warnings.catch_warnings(),
            kalamdb.open(
                ":memory:", storage_roots=("/tmp/nowhere-else",), user_requests_per_s_max=None
            ) as db,
            contextlib.ExitStack() as opened,
        ):
            warnings.simplefilter("ignore")
            populate(db)
            before = _rows_of(db, BYSTANDERS)
            ask = opened.enter_context(road(db))

            def ask_many(number: int) -> None:
                dice = random.Random(seed * THREADS + number)
                for _ in range(queries // THREADS):
                    user = dice.choice(USERS)
                    sql = a_query(dice, user)
                    out = ask(user, sql, dice)
                    # What was put into the text comes back in messages; a whole canary is never put there.
                    leaked = [other for other, mark in marks.items() if other != user and mark in out]
                    if user in SERVICES and sql.startswith("EXECUTE AS"):
                        # The one thing that lets a service see rows of others, and one at a time.
                        leaked = []
                    with lock:
                        figures.tried += 1
                        figures.outcomes["answered" if marks[user] in out else "without an own row"] += 1
                        if leaked or HIDDEN in out:
                            figures.find(f"{user} asked {sql}, and saw rows of {leaked or 'a hidden table'}")

            threads = [threading.Thread(target=ask_many, args=(number,)) for number in range(THREADS)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            if _rows_of(db, BYSTANDERS) != before:
                figures.find("rows of who never writes were changed")
            for user in USERS:
                strange = [
                    body
                    for (body,) in db.session(user).execute("SELECT DISTINCT body FROM app.mine").fetchall()
                    if body not in (marks[user], user)
                ]
                if strange:
                    figures.find(f"{user} has rows of {strange}")
            logged = "\n".join(kept.lines)
            figures.outcomes["lines logged"] += len(kept.lines)
            if HIDDEN in logged or any(mark in logged for mark in marks.values()):
                figures.find("the log output holds a row")
    finally:
        logger.removeHandler(kept)
    return figures


def _rows_of(db: Database, users: frozenset[str]) -> dict[str, list[tuple[object, ...]]]:
    return {
        user: db.session(user).execute("SELECT id, body, n, _seq FROM app.mine ORDER BY id").fetchall()
        for user in sorted(users)
    }

"""Every row carries its owner's canary; whatever a user asks, no other user's canary comes back."""

import itertools
import random
import threading

import pytest

import kalamdb

USERS = [f"user{n:02d}" for n in range(12)]
QUERIES_PER_USER = 60


def canary(user):
    return f"canary-{user}-{hash((user, 'salt')) & 0xFFFF:04x}"


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    """Twelve users with the same keys in a USER and a STREAM table, beside SHARED tables and views."""
    with kalamdb.open(tmp_path_factory.mktemp("canaries") / "data", durability="normal") as db:
        db.execute("CREATE NAMESPACE app")
        db.execute("CREATE USER TABLE app.mine (id BIGINT PRIMARY KEY, body TEXT NOT NULL, n INT)")
        db.execute(
            "CREATE STREAM TABLE app.stream (id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(), body TEXT) TTL 3600"
        )
        db.execute("CREATE SHARED TABLE app.words (id BIGINT PRIMARY KEY, word TEXT)")
        db.execute("INSERT INTO app.words VALUES (1, 'one'), (2, 'two'), (3, 'three')")
        db.execute("CREATE VIEW app.view AS SELECT body, n FROM app.mine")
        db.execute(
            "CREATE VIEW app.deep AS SELECT v.body, w.word FROM app.view v JOIN app.words w ON w.id = v.n"
        )
        for user in USERS:
            session = db.session(user)
            rows = [(n, canary(user), n % 4) for n in range(8)]
            session.executemany("INSERT INTO app.mine VALUES (?, ?, ?)", rows)
            session.execute("INSERT INTO app.stream (body) VALUES (?), (?)", [canary(user)] * 2)
            session.execute("DELETE FROM app.mine WHERE id = 7")
        yield db


SOURCES = [
    "app.mine",
    "app.mine m",
    "app.view",
    "app.deep",
    "app.stream",
    "(SELECT * FROM app.mine) q",
    "(SELECT body FROM app.mine UNION ALL SELECT body FROM app.stream) q",
    "app.mine JOIN app.words w ON w.id = app.mine.n",
    "(VALUES (1)) v(x) CROSS JOIN app.mine",
    "kalam.app.mine",
]
SHAPES = [
    "SELECT * FROM {source}",
    "SELECT body FROM {source} ORDER BY body DESC LIMIT 5",
    "SELECT body, count(*) FROM {source} GROUP BY body",
    "SELECT max(body), min(body), string_agg(body, ',') FROM {source}",
    "SELECT array_agg(body) FROM {source}",
    "SELECT (SELECT max(body) FROM {source}) AS b",
    "WITH c AS (SELECT body FROM {source}) SELECT c.body FROM c UNION SELECT body FROM app.mine",
    "SELECT w.word, x.body FROM app.words w LEFT JOIN (SELECT body FROM {source}) x ON TRUE",
    "SELECT body FROM {source} WHERE body IN (SELECT body FROM app.mine) OR TRUE",
    "SELECT body, row_number() OVER (ORDER BY body) FROM {source}",
    "SELECT word FROM app.words WHERE EXISTS (SELECT 1 FROM {source} WHERE body LIKE 'canary%')",
    "EXPLAIN ANALYZE SELECT body FROM {source} WHERE body LIKE 'canary%'",
    "SELECT CAST(body AS BIGINT) FROM {source}",
    "SELECT body FROM {source} WHERE 1 / (length(body) - length(body)) = 1",
]
OTHERS = [
    "SELECT body, _seq, _updated FROM app.mine",
    "SELECT body, _deleted FROM app.mine WHERE _deleted",
    "SELECT * FROM all_users.app.mine",
    "SELECT * FROM system.tables",
    "SELECT * FROM system.columns",
    "SELECT * FROM system.stats",
    "SELECT * FROM information_schema.tables",
    "SHOW STATS FOR TABLE app.mine",
    "DESCRIBE TABLE app.mine",
    "UPDATE app.mine SET n = n RETURNING *",
    "UPDATE app.mine SET n = n WHERE body IN (SELECT body FROM app.mine) RETURNING body",
    "INSERT INTO app.mine VALUES (3, 'x', 1)",
    "INSERT INTO app.mine VALUES (3, 'x', 1) ON CONFLICT (id) DO UPDATE SET n = excluded.n RETURNING *",
    "INSERT INTO app.mine SELECT id + 100, body, n FROM app.mine ON CONFLICT DO NOTHING RETURNING body",
    "DELETE FROM app.mine WHERE id >= 100 RETURNING body",
]


def bytes_out(session, sql):
    """Everything a caller gets to see."""
    try:
        result = session.execute(sql)
        return repr((result.columns, result.fetchall() if result.columns else result.message, result))
    except kalamdb.Error as error:
        return repr((error.message, error.args, error.position))


def test_no_query_of_any_shape_shows_a_foreign_canary(crowd):
    leaks = []

    def ask(user, number):
        random_ = random.Random(number)
        session = crowd.session(user)
        foreign = [canary(other) for other in USERS if other != user]
        queries = [
            shape.format(source=source) for shape, source in itertools.product(SHAPES, SOURCES)
        ] + OTHERS
        seen = ""
        for sql in random_.sample(queries, QUERIES_PER_USER):
            out = bytes_out(session, sql)
            seen += out
            leaks.extend((user, sql) for mark in foreign if mark in out)
        assert canary(user) in seen

    threads = [threading.Thread(target=ask, args=(user, number)) for number, user in enumerate(USERS)]
    for start in range(0, len(threads), 8):
        for thread in threads[start : start + 8]:
            thread.start()
        for thread in threads[start : start + 8]:
            thread.join(timeout=300)

    assert leaks == []
    for user in USERS:
        rows = crowd.session(user).execute("SELECT DISTINCT body FROM app.mine").fetchall()
        assert rows == [(canary(user),)]


def test_a_key_that_another_user_has_is_no_oracle(crowd):
    alone, crowded = crowd.session("newcomer"), crowd.session(USERS[0])

    assert alone.execute("INSERT INTO app.mine VALUES (3, 'mine', 1)").rowcount == 1
    with pytest.raises(kalamdb.Error, match=r"duplicate key value violates primary key of app.mine: 3"):
        crowded.execute("INSERT INTO app.mine VALUES (3, 'mine', 1)")
    assert crowd.session("nobody").execute("SHOW STATS FOR TABLE app.mine").fetchone() == ("rows", 0)

"""Sessions kept for statements that are answered at once: each request finds one as new."""

from collections.abc import Iterator

import pytest

import kalamdb
from kalamdb.auth.account_login import user_state
from kalamdb.auth.identity import Identity
from kalamdb.errors import AccessDenied, UndefinedNamespace, UndefinedTable
from kalamdb.server import kept_sessions
from kalamdb.server.kept_sessions import KeptSessions


@pytest.fixture
def db() -> Iterator[kalamdb.Database]:
    db = kalamdb.open(":memory:")
    for name in ("app", "other"):
        db.execute(f"CREATE NAMESPACE {name}")
        db.execute(
            f"CREATE SHARED TABLE {name}.notes (id BIGINT PRIMARY KEY, text TEXT) WITH (ACCESS = 'public')"
        )
        db.execute(f"INSERT INTO {name}.notes VALUES (1, '{name}')")
    db.execute("CREATE USER ann WITH ROLE user")
    yield db
    db.close()


def identity(db: kalamdb.Database, user: str) -> Identity:
    account = db.accounts.find(user)
    assert account is not None
    token = db.front_door.tokens.issue(user_state(account)).text
    return db.front_door.verifier.verify(token)


def test_one_senders_requests_share_a_session_and_others_have_their_own(db: kalamdb.Database) -> None:
    kept = KeptSessions(db)
    ann, root = identity(db, "ann"), identity(db, "root")

    one = kept.of(ann, "10.0.0.1", None)
    assert kept.of(ann, "10.0.0.1", None) is one
    assert kept.of(ann, "10.0.0.2", None) is not one
    assert kept.of(root, "10.0.0.1", None).user == "root"


def test_a_namespace_is_of_one_request_alone(db: kalamdb.Database) -> None:
    kept = KeptSessions(db)
    ann = identity(db, "ann")

    def asked(namespace: str | None) -> str:
        result = kept.of(ann, "10.0.0.1", namespace).execute("SELECT text FROM notes WHERE id = ?", [1])
        return result.fetchone()[0]

    assert [asked("app"), asked("other"), asked("app")] == ["app", "other", "app"]
    assert kept.of(ann, "10.0.0.1", None).namespace == "default"
    with pytest.raises(UndefinedNamespace):
        kept.of(ann, "10.0.0.1", "nowhere")
    assert kept.of(ann, "10.0.0.1", None).namespace == "default"


def test_what_a_user_may_is_asked_before_each_statement(db: kalamdb.Database) -> None:
    kept = KeptSessions(db)
    ann = identity(db, "ann")
    session = kept.of(ann, "10.0.0.1", "app")
    select = "SELECT text FROM notes WHERE id = ?"
    assert session.execute(select, [1]).fetchone() == ("app",)

    db.execute("ALTER TABLE app.notes SET ACCESS private")
    with pytest.raises(UndefinedTable):
        kept.of(ann, "10.0.0.1", "app").execute(select, [1])
    db.execute("ALTER TABLE app.notes SET ACCESS public")
    db.execute("DROP USER ann")
    with pytest.raises(AccessDenied):
        kept.of(ann, "10.0.0.1", "app").execute(select, [1])


def test_they_do_not_grow_without_end(db: kalamdb.Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_sessions, "SESSIONS_MAX", 3)
    kept = KeptSessions(db)
    ann = identity(db, "ann")

    first = kept.of(ann, "10.0.0.1", None)
    kept_alive = [identity(db, "ann") for _ in range(3)]
    for one in kept_alive:
        kept.of(one, "10.0.0.1", None)

    assert len(kept._kept) == 3
    assert kept.of(ann, "10.0.0.1", None) is not first

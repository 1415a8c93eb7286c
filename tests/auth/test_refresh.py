"""Refresh tokens: good once; whoever uses one again ends all that came from its log-in."""

from __future__ import annotations

import base64
import datetime
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest

from kalamdb.auth.permissions import Role
from kalamdb.auth.refresh import PREFIX, RefreshTokens
from kalamdb.auth.reserved import AUTH_TABLES, REFRESH_TOKENS, REFRESH_TOKENS_ID
from kalamdb.catalog import RESERVED
from kalamdb.catalog.reserved import FIRST_TABLE_ID
from kalamdb.engine.cold_schema import COLD_PARTITIONS_ID
from kalamdb.engine.jobs_schema import JOBS_ID
from kalamdb.errors import (
    CommitOutcomeUnknown,
    DatabasePoisoned,
    InvalidToken,
    RefreshTokenReused,
    StorageUnavailable,
)

TTL = datetime.timedelta(days=30)


@pytest.fixture
def tokens(world, time) -> RefreshTokens:
    return RefreshTokens(world.engine, ttl=TTL, now=time.instant)


def families(world) -> int:
    return world.engine.store.count(REFRESH_TOKENS_ID, b"", world.engine.snapshot())


def dead(tokens: RefreshTokens, users, text: str) -> bool:
    """Whether it is refused as one that is not there."""
    with pytest.raises(InvalidToken) as caught:
        tokens.rotate(text, users.user)
    return type(caught.value) is InvalidToken


def test_the_table_is_reserved_and_no_other_has_its_id():
    assert REFRESH_TOKENS_ID < FIRST_TABLE_ID
    ids = [JOBS_ID, COLD_PARTITIONS_ID, *(schema.table_id for schema in (*RESERVED, *AUTH_TABLES))]
    assert ids.count(REFRESH_TOKENS_ID) == 1
    assert len(ids) == len(set(ids))
    assert REFRESH_TOKENS.primary_key == REFRESH_TOKENS.columns[0].name


def test_a_token_is_good_once_for_the_next_one(tokens, users, world, time):
    first = tokens.issue(users.states["alice"])
    texts = {first.text}
    text = first.text
    for _ in range(20):
        time.go(86_400)
        user, token = tokens.rotate(text, users.user)
        text = token.text
        texts.add(text)
        assert (user.name, token.expires_at) == ("alice", time.instant() + TTL)

    assert len(texts) == 21
    assert families(world) == 1


def test_reuse_ends_the_whole_family(tokens, users, world):
    other = tokens.issue(users.states["alice"])
    texts = [tokens.issue(users.states["alice"]).text]
    for _ in range(3):
        texts.append(tokens.rotate(texts[-1], users.user)[1].text)

    with pytest.raises(RefreshTokenReused) as caught:
        tokens.rotate(texts[1], users.user)

    assert caught.value.user == "alice"
    assert "alice" not in str(caught.value)
    assert all(dead(tokens, users, text) for text in texts)
    assert tokens.rotate(other.text, users.user)[0].name == "alice"


@pytest.mark.parametrize("old", range(5))
def test_every_old_one_counts(tokens, users, world, old):
    texts = [tokens.issue(users.states["alice"]).text]
    for _ in range(5):
        texts.append(tokens.rotate(texts[-1], users.user)[1].text)

    with pytest.raises(RefreshTokenReused):
        tokens.rotate(texts[old], users.user)

    assert families(world) == 0


def test_of_two_at_the_same_time_one_wins_and_the_family_ends(world, users, time):
    for _ in range(20):
        tokens = RefreshTokens(world.engine, ttl=TTL, now=time.instant)
        text = tokens.issue(users.states["alice"]).text

        def use(_, tokens=tokens, text=text) -> str | None:
            try:
                return tokens.rotate(text, users.user)[1].text
            except InvalidToken:
                return None

        with ThreadPoolExecutor(8) as pool:
            won = [found for found in pool.map(use, range(8)) if found is not None]

        assert len(won) == 1
        assert dead(tokens, users, won[0])
        assert families(world) == 0


def test_who_comes_second_between_another_s_look_and_commit_ends_the_family(tokens, users, world):
    text = tokens.issue(users.states["alice"]).text
    between: list[str] = []

    def user_of(name: str):
        if not between:
            between.append("")
            between[0] = tokens.rotate(text, users.user)[1].text
        return users.user(name)

    with pytest.raises(RefreshTokenReused):
        tokens.rotate(text, user_of)

    assert families(world) == 0
    assert dead(tokens, users, between[0])


def test_a_token_s_time_is_over_after_thirty_days_without_use(tokens, users, world, time):
    token = tokens.issue(users.states["alice"])
    time.go(TTL.total_seconds())

    assert dead(tokens, users, token.text)
    assert families(world) == 0


@pytest.mark.parametrize("changes", [{"deleted": True}, {"auth_epoch": 1}])
def test_it_dies_with_the_user_and_the_password(tokens, users, world, changes):
    token = tokens.issue(users.states["alice"])
    users.change("alice", **changes)

    assert dead(tokens, users, token.text)
    users.change("alice", deleted=False, auth_epoch=0)
    assert dead(tokens, users, token.text)
    assert families(world) == 0


def test_it_dies_with_a_user_who_is_gone(tokens, users):
    token = tokens.issue(users.states["alice"])
    del users.states["alice"]

    assert dead(tokens, users, token.text)


def test_a_new_role_is_what_the_user_comes_back_with(tokens, users):
    token = tokens.issue(users.states["alice"])
    users.change("alice", role=Role.DBA)

    assert tokens.rotate(token.text, users.user)[0].role is Role.DBA


def test_a_log_out_ends_the_family(tokens, users, world):
    text = tokens.issue(users.states["alice"]).text
    later = tokens.rotate(text, users.user)[1].text

    assert tokens.revoke(later) == "alice"
    assert tokens.revoke(later) is None
    assert dead(tokens, users, later)
    assert families(world) == 0


def test_every_end_of_a_family_is_told_once_it_is_there_for_all(users, world, time):
    ended: list[tuple[str, bool]] = []
    tokens = RefreshTokens(
        world.engine,
        ttl=TTL,
        now=time.instant,
        on_end=lambda family: ended.append((family, tokens.is_open(family))),
    )
    made = [tokens.issue(users.states["alice"]) for _ in range(5)]
    assert all(tokens.is_open(one.family) for one in made)
    assert len({one.family for one in made}) == 5

    tokens.revoke(made[0].text)
    _, later = tokens.rotate(made[1].text, users.user)
    assert (later.family, tokens.is_open(later.family)) == (made[1].family, True)
    with pytest.raises(RefreshTokenReused):
        tokens.rotate(made[1].text, users.user)
    users.change("alice", auth_epoch=1)
    assert dead(tokens, users, made[2].text)
    time.go(TTL.total_seconds())
    tokens.prune()

    assert ended[:3] == [(one.family, False) for one in made[:3]]
    assert sorted(ended[3:]) == sorted((one.family, False) for one in made[3:])
    assert not any(one.family in one.text for one in made)


def test_a_log_out_with_an_old_token_is_a_reuse(tokens, users, world):
    text = tokens.issue(users.states["alice"]).text
    tokens.rotate(text, users.user)

    with pytest.raises(RefreshTokenReused):
        tokens.revoke(text)
    assert families(world) == 0


def test_all_of_a_user_s_can_be_forgotten(tokens, users, world):
    kept = tokens.issue(users.states["bob"])
    texts = [tokens.issue(users.states["alice"]).text for _ in range(5)]

    assert tokens.forget_user("alice") == 5
    assert tokens.forget_user("alice") == 0
    assert all(dead(tokens, users, text) for text in texts)
    assert tokens.rotate(kept.text, users.user)[0].name == "bob"


def test_rows_whose_time_is_over_are_pruned(tokens, users, world, time, monkeypatch):
    monkeypatch.setattr("kalamdb.auth.refresh._READ_TOGETHER_MAX", 7)
    for _ in range(25):
        tokens.issue(users.states["alice"])
    time.go(86_400)
    kept = [tokens.issue(users.states["bob"]).text for _ in range(25)]
    time.go(TTL.total_seconds() - 86_400)

    assert tokens.prune() == 25
    assert families(world) == 25
    assert all(tokens.rotate(text, users.user) for text in kept)


def test_what_was_told_survives_a_power_cut(world, users, time):
    tokens = RefreshTokens(world.engine, ttl=TTL, now=time.instant)
    first = tokens.issue(users.states["alice"]).text
    second = tokens.rotate(first, users.user)[1].text

    world.lose_power()

    again = RefreshTokens(world.engine, ttl=TTL, now=time.instant)
    third = again.rotate(second, users.user)[1].text
    with pytest.raises(RefreshTokenReused):
        again.rotate(second, users.user)
    assert dead(again, users, third)


def test_a_disk_that_fails_gives_no_token(world, users, time):
    tokens = RefreshTokens(world.engine, ttl=TTL, now=time.instant)
    token = tokens.issue(users.states["alice"])
    world.files.fail(["write", "sync"], sticky=True)

    for use in (
        lambda: tokens.issue(users.states["alice"]),
        lambda: tokens.rotate(token.text, users.user),
    ):
        with pytest.raises((StorageUnavailable, CommitOutcomeUnknown, DatabasePoisoned)):
            use()


def test_what_is_no_refresh_token_is_refused(tokens, users, world):
    good = tokens.issue(users.states["alice"]).text
    assert len(good) == len(PREFIX) + 86
    for text in (
        None,
        5,
        b"",
        "",
        PREFIX,
        good[:-1],
        good + "A",
        good + "\n",
        good + "=",
        " " + good,
        good.upper(),
        good.removeprefix(PREFIX),
        "x" * 100_000,
        PREFIX + "é" * 86,
        PREFIX + "+" * 86,
        "a.b.c",
    ):
        assert dead(tokens, users, text)
    assert tokens.rotate(good, users.user)[0].name == "alice"


def test_no_bit_can_be_flipped(tokens, users, world):
    # In the family: nobody's. In the secret: whoever has the family has a copy of a token.
    good = tokens.issue(users.states["alice"]).text
    both = base64.urlsafe_b64decode(good.removeprefix(PREFIX) + "==")
    for bit in range(256):
        changed = bytearray(both)
        changed[bit // 8] ^= 1 << bit % 8
        assert dead(tokens, users, PREFIX + base64.urlsafe_b64encode(bytes(changed)).decode().rstrip("="))
    # The two bits to spare at the end have one value.
    last = good[-1]
    for other in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_":
        if other != last and base64.urlsafe_b64decode(good.removeprefix(PREFIX)[:-1] + other + "==") == both:
            assert dead(tokens, users, good[:-1] + other)
    assert families(world) == 1
    changed = bytearray(both)
    changed[-1] ^= 1
    with pytest.raises(RefreshTokenReused):
        tokens.rotate(PREFIX + base64.urlsafe_b64encode(bytes(changed)).decode().rstrip("="), users.user)
    assert dead(tokens, users, good)


def test_no_file_of_the_database_holds_a_token(world, tokens, users):
    text = tokens.issue(users.states["alice"]).text
    later = tokens.rotate(text, users.user)[1].text
    world.engine.checkpoint()

    kept = b"".join(
        world.files.read_file(f"{folder}/{name}")
        for folder in (world.engine.directory.wal, world.engine.directory.hot)
        for name in world.files.list(folder)
        if world.files.exists(f"{folder}/{name}")
    )
    assert b"alice" in kept
    for one in (text, later):
        both = base64.urlsafe_b64decode(one.removeprefix(PREFIX) + "==")
        for half in (one.encode(), both[:32], both[32:], both[:32].hex().encode(), both[32:].hex().encode()):
            assert half not in kept


def test_nothing_shows_a_token(tokens, users):
    token = tokens.issue(users.states["alice"])

    assert token.text not in repr(token) + str(token) + f"{token}" + repr(tokens)
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(token)
    with pytest.raises(InvalidToken) as caught:
        tokens.rotate(token.text + "canary", users.user)
    assert "canary" not in str(caught.value) + repr(caught.value)

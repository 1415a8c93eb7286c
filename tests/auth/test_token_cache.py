"""What was verified: kept until its end, until something changes, or until there is no room."""

from __future__ import annotations

from kalamdb.auth.identity import Identity
from kalamdb.auth.permissions import Role
from kalamdb.auth.token_cache import TokenCache
from tests.auth.conftest import START


def identity(name: str = "alice", expires_at: float = START + 60) -> Identity:
    return Identity(name, Role.USER, "kalamdb", "0.a", expires_at, 0)


def test_an_entry_is_there_until_its_end():
    cache = TokenCache()
    cache.keep(b"a", identity(), cache.epoch)

    assert cache.find(b"a", START) == identity()
    assert cache.find(b"b", START) is None
    assert cache.find(b"a", START + 59.9) == identity()
    assert cache.find(b"a", START + 60) is None
    assert len(cache) == 0


def test_a_change_forgets_all_and_what_was_asked_before_it():
    cache = TokenCache()
    before = cache.epoch
    cache.keep(b"a", identity(), before)

    cache.bump_epoch()
    cache.keep(b"b", identity(), before)

    assert len(cache) == 0
    cache.keep(b"b", identity(), cache.epoch)
    assert cache.find(b"b", START) == identity()


def test_it_is_bounded_and_keeps_what_is_used():
    cache = TokenCache(entries_max=10)
    cache.keep(b"used", identity(), 0)
    for number in range(1000):
        cache.keep(b"%d" % number, identity(), 0)
        assert cache.find(b"used", START) is not None

    assert len(cache) == 10
    assert cache.find(b"999", START) is not None
    assert cache.find(b"1", START) is None


def test_an_ended_family_is_forgotten_and_what_was_asked_before_it_ended():
    cache = TokenCache()
    before = cache.epoch
    one, other = (Identity("alice", Role.USER, "kalamdb", "0.a", START + 60, 0, family=name) for name in "ab")
    for digest, found in ((b"1", one), (b"2", one), (b"3", other), (b"4", identity())):
        cache.keep(digest, found, before)

    cache.forget_family("a")
    cache.keep(b"5", one, before)

    assert [cache.find(digest, START) for digest in (b"1", b"2", b"3", b"4", b"5")] == [
        None,
        None,
        other,
        identity(),
        None,
    ]

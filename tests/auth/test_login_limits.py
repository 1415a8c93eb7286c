"""How often somebody may try, and that nobody gets around it: by many names, many addresses, or many threads."""

from __future__ import annotations

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from kalamdb.auth.login_limits import ADDRESS, LOCK_S, WINDOW_S, LoginLimits, network
from kalamdb.errors import AccountLocked, RateLimitExceeded


@pytest.fixture
def limits(time) -> LoginLimits:
    return LoginLimits(now=time)


def tried(limits: LoginLimits, user: str, address: str) -> bool:
    """Whether a try was let through."""
    try:
        limits.begin(user, address)
    except (AccountLocked, RateLimitExceeded):
        return False
    return True


def most_in_a_minute(times: list[float]) -> int:
    return max((sum(at <= other < at + WINDOW_S for other in times) for at in times), default=0)


@pytest.mark.parametrize("pause", [0, 0.001, 0.1, 1, 3, 7])
def test_a_thousand_wrong_passwords_for_one_account(limits, time, pause):
    let_through = []
    for number in range(1000):
        if tried(limits, "alice", f"10.0.{number // 250}.{number % 250}"):
            let_through.append(time())
        time.go(pause)

    assert let_through
    assert most_in_a_minute(let_through) <= 10


@pytest.mark.parametrize("pause", [0, 0.001, 0.1, 1, 3, 7])
def test_a_thousand_wrong_passwords_from_one_address(limits, time, pause):
    let_through = []
    for number in range(1000):
        if tried(limits, f"user{number}", "10.0.0.1"):
            let_through.append(time())
        time.go(pause)

    assert let_through
    assert most_in_a_minute(let_through) <= 10


def test_many_accounts_from_many_addresses(limits, time, seed):
    chosen = random.Random(seed)
    by_user: dict[str, list[float]] = {}
    by_address: dict[str, list[float]] = {}
    for _ in range(5000):
        user, address = f"user{chosen.randrange(20)}", f"10.0.0.{chosen.randrange(50)}"
        if tried(limits, user, address):
            by_user.setdefault(user, []).append(time())
            by_address.setdefault(address, []).append(time())
        time.go(chosen.random())

    assert max(map(most_in_a_minute, by_user.values())) <= 10
    assert max(map(most_in_a_minute, by_address.values())) <= 10


def test_tries_beside_each_other_count_as_failed_until_they_are_right(time):
    limits = LoginLimits(now=time)
    with ThreadPoolExecutor(16) as pool:
        answers = Counter(pool.map(lambda number: tried(limits, "alice", f"10.0.0.{number}"), range(200)))

    assert answers[True] <= 10


def test_waiting_doubles_and_then_the_account_is_locked(limits, time):
    waits = []
    for _ in range(10):
        attempt = limits.begin("alice", "10.0.0.1")
        try:
            limits.check("alice", "10.0.0.2")
            waits.append(0.0)
        except RateLimitExceeded as error:
            waits.append(error.retry_after_s)
        except AccountLocked as error:
            waits.append(error.retry_after_s)
            break
        time.go(waits[-1])

    assert waits == [0, 0, 0, 1, 2, 4, 8, 16, 32, LOCK_S]
    assert (attempt.failed, attempt.locks_for_s) == (10, LOCK_S)
    time.go(LOCK_S - 1)
    with pytest.raises(AccountLocked) as caught:
        limits.begin("alice", "10.0.0.3")
    assert caught.value.retry_after_s == pytest.approx(1)
    time.go(1)
    assert limits.begin("alice", "10.0.0.3").failed == 1


def test_every_refusal_says_how_long_to_wait(limits, time):
    for _ in range(200):
        try:
            limits.begin("alice", "10.0.0.1")
        except (AccountLocked, RateLimitExceeded) as error:
            refused_for_s = error.retry_after_s
            assert_let_through_after(limits, time, refused_for_s)


def assert_let_through_after(limits: LoginLimits, time, wait_s: float) -> None:
    assert wait_s > 0
    time.go(wait_s + 0.001)
    assert tried(limits, "alice", "10.0.0.1")


def test_tries_that_are_refused_do_not_make_it_longer(limits, time):
    while tried(limits, "alice", "10.0.0.1"):
        time.go(60)
    for _ in range(1000):
        assert not tried(limits, "alice", "10.0.0.1")

    time.go(LOCK_S)
    assert tried(limits, "alice", "10.0.0.1")


def test_a_name_that_nobody_has_is_locked_like_any_other(limits, time):
    for name in ("alice", "nobody", "x" * 100_000, "", "\ud800"):
        for _ in range(10):
            limits.begin(name, f"address of {name[:9]!r}")
            time.go(60)
        with pytest.raises(AccountLocked) as caught:
            limits.begin(name, "elsewhere")
        assert not name or name not in str(caught.value)


def test_an_address_is_locked_in_the_end(limits, time):
    for number in range(ADDRESS.in_a_row):
        limits.begin(f"user{number}", "10.0.0.1")
        time.go(60)

    with pytest.raises(RateLimitExceeded) as caught:
        limits.begin("anybody", "10.0.0.1")
    assert caught.value.retry_after_s == LOCK_S - 60
    limits.begin("anybody", "10.0.0.2")


def test_what_was_right_does_not_count(limits):
    for _ in range(1000):
        limits.was_right(limits.begin("alice", "10.0.0.1"))

    assert limits.sizes() == (0, 0)


def test_what_was_right_ends_what_came_in_a_row(limits, time):
    for _ in range(9):
        attempt = limits.begin("alice", "10.0.0.1")
        time.go(60)
    limits.was_right(attempt)

    assert limits.begin("alice", "10.0.0.1").failed == 1


def test_a_user_of_one_s_own_hides_no_wrong_tries(limits, time):
    # Between every two tries at others the attacker logs in as itself.
    let_through = []
    for number in range(500):
        if tried(limits, f"victim{number}", "10.0.0.1"):
            let_through.append(time())
        try:
            limits.was_right(limits.begin("mallory", "10.0.0.1"))
        except RateLimitExceeded:
            time.go(1)

    assert most_in_a_minute(let_through) <= 10


def test_an_administrator_ends_a_lock(limits, time):
    for _ in range(10):
        limits.begin("alice", "10.0.0.1")
        time.go(60)
    limits.forgive("alice")
    limits.forgive("nobody")

    assert limits.begin("alice", "10.0.0.2").failed == 1


def test_limiter_state_exhaustion(time):
    # A flood of names and addresses neither grows without bound nor pushes out what counts.
    limits = LoginLimits(entries_max=1000, now=time)
    for _ in range(10):
        limits.begin("alice", "10.0.0.1")
        time.go(60)
    for number in range(20_000):
        tried(limits, f"name{number}", f"address{number}")

    assert max(limits.sizes()) <= 1000
    with pytest.raises(AccountLocked):
        limits.begin("alice", "10.0.0.2")
    with pytest.raises(RateLimitExceeded):
        limits.begin("new name", "new address")
    # Who is remembered goes on.
    assert tried(limits, "name5", "address5")
    time.go(LOCK_S)
    assert tried(limits, "new name", "new address")
    assert limits.sizes() == (1, 1)


def test_what_has_expired_makes_room(time):
    limits = LoginLimits(entries_max=10, now=time)
    for number in range(1000):
        assert tried(limits, f"name{number}", f"address{number}"), number
        time.go(LOCK_S / 10)

    assert limits.sizes() == (10, 10)


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("", ""),
        ("unix", "unix"),
        ("192.0.2.7, 10.0.0.1", "192.0.2.7, 10.0.0.1"),
        ("x" * 1000, "x" * 128),
    ],
)
def test_what_one_machine_can_have_of_addresses_is_one(address, counted):
    assert network(address) == counted


def test_a_network_of_addresses_is_no_way_around(limits):
    assert sum(tried(limits, f"user{n}", f"2001:db8::{n:x}") for n in range(1000)) <= 10

"""Snowflakes, UUIDv7 and ULIDs: their form, their order, and what a clock cannot do to them."""

import threading
import time
import uuid
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalamcore.ids import Snowflakes, Ulids, UuidsV7
from kalamcore.system import Clock, RandomSource

EPOCH_MS = 1_704_067_200_000
HOUR_US = 3_600_000_000
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
GENERATORS: list[Callable[..., Any]] = [Snowflakes, UuidsV7, Ulids]


def unpacked(generator: Any, count: int) -> list[Any]:
    """What `many` gives, one by one."""
    data = bytes(generator.many(count))
    size = {Snowflakes: 8, UuidsV7: 36, Ulids: 26}[type(generator)]
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    if size == 8:
        return [int.from_bytes(part, "little") for part in parts]
    return [part.decode("ascii") for part in parts]


def ulid_number(text: str) -> int:
    number = 0
    for character in text:
        number = number * 32 + CROCKFORD.index(character)
    return number


def increases(ids: list[Any]) -> bool:
    return all(a < b for a, b in pairwise(ids))


def uuid_ms(text: str) -> int:
    return uuid.UUID(text).int >> 80


# --- All of them


@pytest.mark.parametrize("make", GENERATORS)
def test_eight_threads_get_no_id_twice_and_each_gets_them_in_order(make):
    generator = make()
    taken: list[list[Any]] = [[] for _ in range(8)]
    start = threading.Barrier(8)

    def take(ids: list[Any]) -> None:
        start.wait()
        for _ in range(25):
            ids.extend(generator.one() for _ in range(500))
            ids.extend(unpacked(generator, 500))

    threads = [threading.Thread(target=take, args=(ids,)) for ids in taken]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert all(len(ids) == 25_000 and increases(ids) for ids in taken)
    assert len({each for ids in taken for each in ids}) == 200_000


@pytest.mark.parametrize("make", GENERATORS)
def test_a_clock_that_stands_still_stops_nothing(make):
    generator = make(clock=Clock.manual(1_800_000_000_000_000))

    assert increases(
        [generator.one() for _ in range(10_000)] + unpacked(generator, 100_000) + [generator.one()]
    )


@pytest.mark.parametrize("make", GENERATORS)
def test_a_clock_set_back_by_an_hour_puts_nothing_out_of_order(make):
    clock = Clock.manual(1_800_000_000_000_000)
    generator = make(clock=clock)

    ids = [generator.one() for _ in range(100)]
    clock.advance(-HOUR_US)
    ids += [generator.one() for _ in range(5000)] + unpacked(generator, 5000)
    clock.advance(2 * HOUR_US)
    ids += [generator.one()]

    assert increases(ids)


@pytest.mark.parametrize("make", GENERATORS)
@given(steps=st.lists(st.tuples(st.integers(-5_000_000, 5_000_000), st.integers(0, 9000)), max_size=10))
def test_whatever_the_clock_does_ids_increase(make, steps: list[tuple[int, int]]):
    clock = Clock.manual(1_800_000_000_000_000)
    generator = make(clock=clock)
    ids = []
    for step_us, count in steps:
        clock.advance(step_us)
        ids += [generator.one(), *unpacked(generator, count), generator.one()]

    assert increases(ids)


@pytest.mark.parametrize("make", GENERATORS)
def test_many_sorts_as_it_stands(make):
    ids = unpacked(make(), 20_000)

    assert ids == sorted(set(ids))
    assert len(ids) == 20_000


@pytest.mark.parametrize("make", GENERATORS)
def test_none_are_given_for_zero_and_fewer_are_refused(make):
    assert make().many(0) == bytearray()
    with pytest.raises(ValueError, match="-1"):
        make().many(-1)


@pytest.mark.parametrize("make", [UuidsV7, Ulids])
def test_ids_of_two_generators_differ(make):
    clock = Clock.manual(1_800_000_000_000_000)

    assert not {*unpacked(make(clock=clock), 1000)} & {*unpacked(make(clock=clock), 1000)}


@pytest.mark.parametrize("make", [UuidsV7, Ulids])
def test_a_seeded_source_repeats_its_ids(make):
    def first() -> list[str]:
        return unpacked(make(clock=Clock.manual(10**15), random=RandomSource.seeded(7)), 10)

    assert first() == first()


# --- Snowflakes


def test_a_snowflake_holds_time_worker_and_sequence():
    clock = Clock.manual((EPOCH_MS + 123_456) * 1000 + 789)
    ids = Snowflakes(1023, clock=clock)

    assert ids.one() == 123_456 << 22 | 1023 << 12
    assert ids.one() == 123_456 << 22 | 1023 << 12 | 1
    clock.advance(1000)
    assert ids.one() == ids.last == 123_457 << 22 | 1023 << 12


def test_the_sequence_runs_over_into_the_next_millisecond():
    ids = unpacked(Snowflakes(5, clock=Clock.manual((EPOCH_MS + 10) * 1000)), 10_000)

    assert [(each >> 22, each >> 12 & 1023, each & 4095) for each in ids] == [
        (10 + at // 4096, 5, at % 4096) for at in range(10_000)
    ]


def test_ids_lie_after_the_high_water_mark():
    clock = Clock.manual((EPOCH_MS + 10) * 1000)
    after = 3_600_000 << 22 | 7 << 12 | 4095

    assert Snowflakes(7, after=after, clock=clock).last == after
    for worker in (0, 7, 1023):
        ids = Snowflakes(worker, after=after, clock=clock)
        assert increases([after, ids.one(), *unpacked(ids, 5000)])


def test_a_million_at_once_do_not_wait_for_a_stopped_clock():
    ids = Snowflakes(clock=Clock.manual((EPOCH_MS + 10) * 1000))

    assert len(ids.many(1_000_000)) == 8_000_000
    assert ids.last >> 22 == 10 + 999_999 // 4096


def test_beyond_its_bound_a_generator_waits_for_the_clock():
    clock = Clock.manual((EPOCH_MS + 10) * 1000)
    ids = Snowflakes(clock=clock, ahead_ms_max=1)
    assert len(unpacked(ids, 2 * 4096)) == 8192
    got: list[int] = []
    waiter = threading.Thread(target=lambda: got.append(ids.one()))

    waiter.start()
    time.sleep(0.02)
    assert waiter.is_alive()
    clock.advance(1000)
    waiter.join(10)

    assert got == [12 << 22]


def test_behind_a_clock_set_back_time_goes_on_at_its_own_pace():
    clock = Clock.manual((EPOCH_MS + 7_200_000) * 1000)
    ids = Snowflakes(clock=clock, ahead_ms_max=1)
    last = ids.one()
    clock.set((EPOCH_MS + 3_600_000) * 1000)
    done = threading.Event()
    got: list[int] = []

    def take() -> None:
        got.extend(ids.one() for _ in range(20_000))
        done.set()

    waiter = threading.Thread(target=take)
    waiter.start()
    for _ in range(10_000):
        clock.advance(1000)
        if done.wait(0.001):
            break
    waiter.join(10)

    assert increases([last, *got])
    assert got[-1] >> 22 < 7_200_000 + 10_000


@pytest.mark.parametrize("worker", [-1, 1024])
def test_a_worker_outside_of_ten_bits_is_refused(worker: int):
    with pytest.raises(ValueError, match="0 to 1023"):
        Snowflakes(worker)


def test_a_clock_before_the_epoch_counts_from_the_epoch():
    assert Snowflakes(clock=Clock.manual(0)).one() == 0


# --- UUIDv7


def test_a_uuid_has_version_variant_and_time():
    ms = 1_645_557_742_000  # the example of RFC 9562, appendix A.6
    ids = UuidsV7(clock=Clock.manual(ms * 1000 + 999))

    for text in [ids.one() for _ in range(1000)] + unpacked(ids, 3000):
        parsed = uuid.UUID(text)
        assert (parsed.version, parsed.variant, uuid_ms(text)) == (7, uuid.RFC_4122, ms)
        assert str(parsed) == text
        assert text.startswith("017f22e2-79b0-7")


def test_uuids_of_one_millisecond_share_no_random_tail():
    ids = unpacked(UuidsV7(clock=Clock.manual(10**15)), 1000)

    assert len({text[-8:] for text in ids}) == 1000


def test_uuids_of_later_milliseconds_sort_later():
    clock = Clock.manual(10**15)
    ids = UuidsV7(clock=clock)
    made = []
    for _ in range(1000):
        made.append(ids.one())
        clock.advance(1000)

    assert made == sorted(made)
    assert [uuid_ms(text) for text in made] == [10**12 + at for at in range(1000)]


# --- ULID


def test_a_ulid_writes_its_time_in_ten_characters():
    # The example of the ULID specification.
    text = Ulids(clock=Clock.manual(1_469_918_176_385_000)).one()

    assert text[:10] == "01ARYZ6S41"
    assert len(text) == 26
    assert set(text) <= set(CROCKFORD)


def test_ulids_of_one_millisecond_count_up_by_one():
    ids = Ulids(clock=Clock.manual(10**15))
    numbers = [ulid_number(text) for text in [ids.one(), ids.one(), *unpacked(ids, 5000), ids.one()]]

    assert numbers == list(range(numbers[0], numbers[0] + 5003))
    assert numbers[0] >> 80 == 10**12


def test_a_ulid_of_a_new_millisecond_is_random_anew():
    clock = Clock.manual(10**15)
    ids = Ulids(clock=clock)
    first = ulid_number(ids.one())
    clock.advance(1000)
    second = ulid_number(ids.one())

    assert second >> 80 == (first >> 80) + 1
    assert second & (2**80 - 1) != (first & (2**80 - 1)) + 1

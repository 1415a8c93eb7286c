"""The bounded cache."""

from __future__ import annotations

import functools
import threading

from kalamdb.engine.segments import BoundedCache


def test_the_least_recently_used_goes_first():
    cache = BoundedCache(30)
    for name in "abc":
        cache.put(name, name.upper(), 10)

    assert cache.get("a") == "A"
    cache.put("d", "D", 10)

    assert [cache.get(name) for name in "abcd"] == ["A", None, "C", "D"]
    assert (len(cache), cache.size_bytes) == (3, 30)


def test_a_value_larger_than_the_bound_is_not_kept_and_drives_nothing_out():
    cache = BoundedCache(30)
    cache.put("a", "A", 10)

    cache.put("b", "B", 31)

    assert (cache.get("a"), cache.get("b")) == ("A", None)
    cache.put("a", "larger", 31)
    assert (cache.get("a"), cache.size_bytes) == (None, 0)


def test_a_value_in_the_place_of_another_counts_once():
    cache = BoundedCache(30)

    cache.put("a", "A", 20)
    cache.put("a", "AA", 25)

    assert (cache.get("a"), cache.size_bytes) == ("AA", 25)


def test_a_value_is_loaded_once():
    cache, loads = BoundedCache(30), []

    def load():
        loads.append(1)
        return "A"

    assert [cache.get_or_load("a", load, len) for _ in range(3)] == ["A"] * 3
    assert loads == [1]


def test_the_values_of_a_segment_can_be_dropped():
    cache = BoundedCache(100)
    for key in [("s1", 0), ("s1", 1), ("s2", 0)]:
        cache.put(key, "rows", 10)

    cache.drop(lambda key: key[0] == "s1")

    assert (cache.get(("s1", 0)), cache.get(("s2", 0)), cache.size_bytes) == (None, "rows", 10)
    cache.clear()
    assert (len(cache), cache.size_bytes) == (0, 0)


def test_threads_that_use_it_together_keep_its_bound():
    cache = BoundedCache(50)
    wrong = []

    def use(first):
        for number in range(first, first + 2000):
            key = number % 37
            if (
                cache.get_or_load(key, functools.partial(int, key), lambda _: 7) != key
                or cache.size_bytes > 50
            ):
                wrong.append(key)
            if number % 100 == 0:
                cache.drop(lambda one: one % 2)

    threads = [threading.Thread(target=use, args=(n * 13,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not wrong
    assert cache.size_bytes == 7 * len(cache) <= 50

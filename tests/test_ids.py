"""Identifiers outside of a database: one and many, increasing over threads, new ones after a fork."""

from __future__ import annotations

import inspect
import os
import re
import types
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest

from kalamdb.ids import snowflake_id, ulid, uuid7

UUID_7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")


def test_snowflake_ids_increase_one_and_many():
    first, many, last = snowflake_id(), snowflake_id(10_000), snowflake_id()
    every = [first, *many.tolist(), last]

    assert many.dtype == "int64"
    assert every == sorted(set(every))


@pytest.mark.parametrize(("make", "pattern"), [(uuid7, UUID_7), (ulid, ULID)])
def test_text_ids_increase_one_and_many(make, pattern):
    first, many, last = make(), make(10_000), make()
    every = [first, *many.to_pylist(), last]
    many.validate(full=True)

    assert many.type == pa.string()
    assert every == sorted(set(every))
    assert all(pattern.fullmatch(one) for one in every)


@pytest.mark.parametrize("make", [snowflake_id, uuid7, ulid])
def test_none_is_given_twice_over_eight_threads(make):
    def take(_):
        own = [make() for _ in range(2_000)]
        assert own == sorted(own)
        return own

    with ThreadPoolExecutor(8) as threads:
        every = [one for own in threads.map(take, range(8)) for one in own]

    assert len(set(every)) == len(every)


@pytest.mark.parametrize("make", [snowflake_id, uuid7, ulid])
def test_no_ids_and_a_negative_count(make):
    assert len(make(0)) == 0
    with pytest.raises(ValueError, match="negative"):
        make(-1)


@pytest.mark.parametrize("make", [uuid7, ulid])
def test_a_forked_child_does_not_repeat_its_parent(make):
    make()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, "\n".join(make() for _ in range(100)).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as answers:
        theirs = set(answers.read().split())
    os.waitpid(child, 0)

    assert len(theirs) == 100
    assert not theirs & {make() for _ in range(100)}


@pytest.mark.parametrize("make", [snowflake_id, uuid7, ulid])
def test_the_functions_are_the_cores_own_and_say_what_they_do(make):
    assert not isinstance(make, types.FunctionType)
    assert make.__doc__.startswith("One ")
    assert list(inspect.signature(make).parameters) == ["count"]
    assert len(make(count=3)) == 3


@pytest.mark.parametrize("make", [uuid7, ulid])
def test_no_more_text_is_asked_for_than_an_arrow_array_holds(make):
    with pytest.raises(ValueError, match="must not exceed"):
        make(2**31)

"""How deep a message is nested, against readers of the same messages."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalamcore.nesting import is_json_deeper, is_msgpack_deeper

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.just('[{"\\'),
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(), inner, max_size=20),
    max_leaves=30,
)


def depth_of(value: Any) -> int:
    """Of arrays and objects; an empty one of MessagePack has nothing that is deeper."""
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(depth_of, value), default=0) if isinstance(value, list) else 0


@given(VALUES)
def test_json_is_as_deep_as_its_reader_says(value: Any) -> None:
    text, depth = json.dumps(value, ensure_ascii=False).encode(errors="replace"), depth_of(value)

    assert not is_json_deeper(text, depth)
    assert depth == 0 or is_json_deeper(text, depth - 1)


@given(VALUES)
def test_messagepack_is_as_deep_as_its_reader_says(value: Any) -> None:
    value = msgspec.json.decode(msgspec.json.encode(value).replace(b"NaN", b"0"))
    message, depth = (
        msgspec.msgpack.encode([value, b"\x91" * 300, "x" * 70_000, [1] * 70_000]),
        depth_of(value),
    )
    deepest = 1 + max(depth, 1)

    assert not is_msgpack_deeper(message, deepest)
    assert is_msgpack_deeper(message, deepest - 2)


@given(st.binary(max_size=200), st.integers(0, 5))
def test_whatever_it_is_given_it_answers(data: bytes, depth: int) -> None:
    is_json_deeper(data, depth)
    is_msgpack_deeper(data, depth)


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":'])
def test_what_never_ends_is_deep(opening: bytes) -> None:
    assert is_json_deeper(opening * 200_000, 100)
    assert not is_json_deeper(b'"' + opening.replace(b'"', b"") * 200_000, 100)


@pytest.mark.parametrize("opening", [b"\x91", b"\x81\x01", b"\xdc\x00\x01", b"\xdf\x00\x00\x00\x01\x01"])
def test_messagepack_that_never_ends_is_deep(opening: bytes) -> None:
    assert is_msgpack_deeper(opening * 1000, 100)
    assert not is_msgpack_deeper(opening * 100, 100)

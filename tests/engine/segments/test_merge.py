"""Merging against a dictionary: of each key the newest version, each key once."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given as samples
from hypothesis import settings
from hypothesis import strategies as st

from kalamdb.engine.segments import merge, row_schema
from kalamdb.errors import InternalError
from kalamdb.types import BIGINT, TEXT
from tests.engine.segments.samples import table

KEYS = {
    BIGINT: st.integers(-20, 20) | st.sampled_from([-(2**63), 2**63 - 1]),
    TEXT: st.text("a\x00é\U0001f600", max_size=3),
}


def batch(schema, versions):
    """{key: (seq, deleted)} as rows, whose text is told by their sequence number."""
    keys = sorted(versions, key=lambda key: key.encode() if isinstance(key, str) else key)
    return pa.RecordBatch.from_pydict(
        {
            "id": keys,
            "body": [f"version {versions[key][0]}" for key in keys],
            "_seq": [versions[key][0] for key in keys],
            "_deleted": [versions[key][1] for key in keys],
        },
        schema=row_schema(schema),
    )


def pieces(rows, sizes):
    """The rows in batches of these sizes, over and over; some are empty."""
    found = []
    at = turn = 0
    while at < rows.num_rows:
        size = sizes[turn % len(sizes)]
        found.append(rows.slice(at, size))
        at += size
        turn += 1
    return found


@settings(max_examples=400, deadline=None)
@samples(st.data(), st.sampled_from([BIGINT, TEXT]), st.none() | st.integers(0, 60))
def test_a_merge_is_what_a_dictionary_says(data, key, expired_seq):
    schema = table(key=key)
    numbers = iter(data.draw(st.permutations(range(60))))
    sources, model = [], {}
    for _ in range(data.draw(st.integers(0, 4))):
        there = data.draw(st.sets(KEYS[key], max_size=12))
        versions = {one: (next(numbers), data.draw(st.booleans())) for one in there}
        sizes = data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=3).filter(any))
        sources.append(pieces(batch(schema, versions), sizes))
        for one, version in versions.items():
            model[one] = max(model.get(one, version), version)
    if expired_seq is not None:
        model = {k: v for k, v in model.items() if not (v[1] and v[0] <= expired_seq)}

    merged = list(merge(sources, "id", expired_seq=expired_seq))

    found = pa.Table.from_batches(merged, row_schema(schema)).combine_chunks()
    assert found.equals(pa.Table.from_batches([batch(schema, model)]).combine_chunks())


def test_tombstones_go_only_when_nothing_older_is_left_out():
    schema = table()
    base, delta = {1: (10, False), 2: (11, False)}, {1: (20, True), 3: (21, True)}

    def merged(*versions, **how):
        rows = merge([[batch(schema, one)] for one in versions], "id", **how)
        return [row["id"] for one in rows for row in one.to_pylist()]

    assert merged(delta) == [1, 3]
    assert merged(base, delta) == [1, 2, 3]
    assert merged(base, delta, expired_seq=20) == [2, 3]
    assert merged(base, delta, expired_seq=30) == [2]
    assert merged(base, delta, expired_seq=19) == [1, 2, 3]


def test_sources_that_do_not_overlap_go_through_unchanged():
    schema = table()
    first, second = (batch(schema, {k: (k, False) for k in range(low, low + 10)}) for low in (0, 100))

    merged = list(merge([[second], [first]], "id"))

    assert [one.column("id")[0].as_py() for one in merged] == [0, 100]
    assert merged[0].equals(first)


def test_a_source_out_of_order_is_refused():
    schema = table()
    rows = batch(schema, {k: (k, False) for k in range(10)})
    other = batch(schema, {5: (50, False)})

    for source in ([rows.take(pa.array([1, 0]))], [rows, rows.slice(9)], [rows.slice(4), rows.slice(0, 4)]):
        with pytest.raises(InternalError, match="not sorted by key"):
            list(merge([source, [other]], "id"))

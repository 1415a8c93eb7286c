"""No history of transactions shows what snapshot isolation forbids; and the checker knows it when it sees it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.list_append import Transaction, check, check_final, prove, simulate

TRANSACTIONS = 2000


def test_eight_threads_show_no_anomaly(tmp_path: Path, seed: int) -> None:
    figures = prove(tmp_path / "data", TRANSACTIONS, seed)
    assert not figures.findings
    assert figures.transactions >= TRANSACTIONS
    assert figures.committed > TRANSACTIONS / 4
    assert figures.failures > 0
    assert figures.allowed, "the transactions hardly met: not even write skew was seen"


def committed(session: int) -> Transaction:
    return Transaction(session, committed=True)


PLANTED = {
    "internal": [committed(1).append(1, 1).read(1)],
    "internal twice": [committed(1).append(1, 1), committed(2).read(1).read(1, 1)],
    "garbage": [committed(1).read(1, 7)],
    "duplicate": [committed(1).append(1, 1), committed(2).read(1, 1, 1)],
    "incompatible order": [
        committed(1).append(1, 1),
        committed(2).append(1, 2),
        committed(3).read(1, 1, 2),
        committed(4).read(1, 2),
    ],
    "G0": [
        committed(1).append(1, 1).append(2, 1),
        committed(2).append(1, 2).append(2, 2),
        committed(3).read(1, 1, 2),
        committed(4).read(2, 2, 1),
    ],
    "G1a": [Transaction(1).append(1, 1), committed(2).read(1, 1)],
    "G1b": [committed(1).append(1, 1).append(1, 2), committed(2).read(1, 1), committed(3).read(1, 1, 2)],
    "G1c": [committed(1).append(1, 1).read(2, 2), committed(2).append(2, 2).read(1, 1)],
    "G1c of a session": [committed(1).read(1, 1), committed(1).append(1, 1)],
    # Read skew.
    "G-single": [
        committed(1).append(1, 1).append(2, 1),
        committed(2).read(1, 1).read(2),
        committed(3).read(2, 1),
    ],
    # A lost update.
    "G-single of two writers": [
        committed(1).read(1).append(1, 1),
        committed(2).read(1).append(1, 2),
        committed(3).read(1, 1, 2),
    ],
    # A long fork: two readers see two writers in two orders.
    "G-nonadjacent": [
        committed(1).append(1, 1),
        committed(2).append(2, 1),
        committed(3).read(1, 1).read(2),
        committed(4).read(1).read(2, 1),
    ],
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_anomaly_is_found(name: str) -> None:
    assert name.partition(" of ")[0].removesuffix(" twice") in check(PLANTED[name]).anomalies


def test_write_skew_is_seen_and_allowed() -> None:
    found = check(
        [
            committed(1).read(1).read(2).append(1, 1),
            committed(2).read(1).read(2).append(2, 1),
            committed(3).read(1, 1).read(2, 1),
        ]
    )
    assert not found
    assert found.allowed


def test_an_append_that_is_gone_is_found() -> None:
    assert check_final([committed(1).append(1, 1), Transaction(2).append(1, 2)], {1: ()}) == [
        "1 of 1, committed by transaction 0, is gone"
    ]


@pytest.mark.parametrize("seed", range(5))
def test_a_sound_store_passes(seed: int) -> None:
    found = check(simulate(1000, seed))
    assert not found, dict(found.anomalies)
    assert found.allowed


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("broken", "shown"),
    [
        ({"first_committer_wins": False}, {"incompatible order"}),
        ({"snapshots": False}, {"internal", "G-single"}),
        ({"dirty": True, "first_committer_wins": False}, {"G1a", "G1b"}),
    ],
    ids=["lost updates", "no snapshots", "dirty reads"],
)
def test_a_broken_store_is_found_out(broken: dict[str, bool], shown: set[str], seed: int) -> None:
    assert shown <= set(check(simulate(400, seed, **broken)).anomalies)


def test_a_half_commit_is_found() -> None:
    history = simulate(300, 1, half=True)
    final = {key: values for _, key, values in history[-1].operations if isinstance(values, tuple)}
    assert check_final(history, final)

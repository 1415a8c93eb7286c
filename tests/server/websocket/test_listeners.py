"""What listeners are told, beside what was committed: a sample; `make proof` has 10,000 commits and 100 listeners."""

from __future__ import annotations

from tests.server.websocket import listeners


def test_listeners_are_told_exactly_what_is_committed(seed: int) -> None:
    figures = listeners.prove(seed, commits=800, listeners=20)

    assert not figures.findings, figures.findings[:5]
    assert figures.changes > 1_000
    assert figures.resumed > 10


def test_the_checker_sees_what_is_left_out_and_what_is_told_twice() -> None:
    everything = listeners.Filter("", lambda row: True)
    rows = [{"id": 1, "version": version, "kind": 0, "n": None} for version in range(3)]
    history = [None, rows[0], rows[1], None, rows[2]]
    whole = listeners.expected(history, everything)

    def wrong(told: list[listeners.Change], there: dict[int, listeners.Row] | None = None) -> int:
        listener = listeners.Listener.__new__(listeners.Listener)
        listener.name, listener.filter, listener.rows, listener.told = "", everything, there or {}, told
        figures = listeners.Figures()
        listeners.check(listener, {1: history}, figures)
        return len(figures.findings)

    assert [kind for kind, _ in whole] == ["insert", "update", "delete", "insert"]
    assert wrong(whole) == 0
    assert wrong(whole[1:], {1: rows[0]}) == 0
    assert wrong(whole[1:]) == 1
    assert wrong(whole[1:], {1: rows[1]}) == 1
    for at in range(1, 4):
        assert wrong(whole[:at] + whole[at + 1 :]) == 1
    assert wrong([*whole, whole[-1]]) == 1
    assert wrong([whole[1], whole[0], *whole[2:]]) == 1

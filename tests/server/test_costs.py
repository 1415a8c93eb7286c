"""What is quick enough for the event loop."""

from kalamdb.server.costs import SHAPES_MAX, Costs

SELECT = "SELECT * FROM notes WHERE id = ?"


def test_what_was_never_met_is_slow_and_what_was_quick_is_quick() -> None:
    costs = Costs()

    assert not costs.is_quick(SELECT)
    costs.note(SELECT, 0.01)
    assert costs.is_quick(SELECT)


def test_one_slow_time_is_the_machines_and_two_are_the_statements() -> None:
    costs = Costs()
    costs.note(SELECT, 0.01)
    costs.note(SELECT, 50.0)

    assert costs.is_quick(SELECT)
    costs.note(SELECT, 50.0)
    assert not costs.is_quick(SELECT)
    costs.note(SELECT, 0.01)
    costs.note(SELECT, 0.01)
    assert costs.is_quick(SELECT)


def test_what_could_not_be_answered_at_once_is_not_tried_again_soon() -> None:
    costs = Costs()
    costs.note(SELECT, 0.01)
    costs.note_slow(SELECT)

    assert not costs.is_quick(SELECT)
    costs.note(SELECT, 0.01)
    assert not costs.is_quick(SELECT)


def test_texts_that_differ_in_literals_have_one_shape() -> None:
    costs = Costs()

    one, other = (
        costs.shape(f"SELECT * FROM notes WHERE id = {number}", parameters=False) for number in (1, 2)
    )
    assert one == other
    assert costs.shape(SELECT, parameters=True) == SELECT


def test_what_may_hold_a_secret_or_many_statements_has_none() -> None:
    costs = Costs()

    for sql in (
        "ALTER USER ann SET PASSWORD 'secret'",
        "SELECT 1; SELECT 2",
        "SELECT 'x",
        "",
        "BEGIN",
        "x" * 10_000,
        "\ud800",
    ):
        assert costs.shape(sql, parameters=False) is None


def test_shapes_do_not_grow_without_end() -> None:
    costs = Costs()

    for number in range(SHAPES_MAX + 100):
        costs.note(f"SELECT {number}", 0.01)

    assert len(costs._of) == SHAPES_MAX
    assert costs.is_quick(f"SELECT {SHAPES_MAX + 99}")

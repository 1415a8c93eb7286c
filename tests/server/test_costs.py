"""What is quick enough for the event loop."""

from kalamdb.server.costs import LATE_MAX, REST_MAX, SHAPES_MAX, Costs

SELECT = "SELECT * FROM notes WHERE id = ?"


def test_what_was_never_met_is_slow_and_what_was_quick_is_quick() -> None:
    costs = Costs()

    assert not costs.is_quick(SELECT)
    costs.note(SELECT, 0.01)
    assert costs.is_quick(SELECT)


def test_what_takes_the_processor_long_goes_to_threads_until_it_does_not() -> None:
    costs = Costs()
    costs.note(SELECT, 50.0)

    assert not costs.is_quick(SELECT)
    costs.note(SELECT, 0.01)
    assert not costs.is_quick(SELECT), "one quick time is not its habit"
    for _ in range(10):
        costs.note(SELECT, 0.01)
    assert costs.is_quick(SELECT)


def test_a_time_that_others_took_is_not_the_statements() -> None:
    costs = Costs()
    costs.note(SELECT, 0.01)
    for took_ms in (50.0, 50.0, 0.01, 50.0, 50.0):
        costs.note_at_once(SELECT, took_ms)

    assert costs.is_quick(SELECT)
    costs.note_at_once(SELECT, 50.0)
    assert not costs.is_quick(SELECT), f"late {LATE_MAX} times in a row"


def test_what_could_not_be_answered_at_once_is_tried_more_and_more_seldom() -> None:
    costs = Costs()
    costs.note(SELECT, 0.01)

    rests = []
    for _ in range(12):
        costs.note_refused(SELECT)
        rests.append(0)
        while not costs.is_quick(SELECT):
            costs.note(SELECT, 0.01)
            rests[-1] += 1
    assert rests == [2, 4, 8, 16, 32, 64, 128, *[REST_MAX] * 5]


def test_what_is_answered_at_once_is_forgiven_what_was_not() -> None:
    costs = Costs()
    costs.note(SELECT, 0.01)
    costs.note_refused(SELECT)
    costs.note(SELECT, 0.01)
    costs.note(SELECT, 0.01)
    costs.note_at_once(SELECT, 0.01)
    costs.note_refused(SELECT)
    costs.note(SELECT, 0.01)
    costs.note(SELECT, 0.01)

    assert costs.is_quick(SELECT)


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


def test_what_waits_and_computes_little_is_told_from_what_computes() -> None:
    costs = Costs()
    assert not costs.only_waits("never met")
    costs.note("waits for the disk", 0.05)
    costs.note("computes", 50.0)
    assert costs.only_waits("waits for the disk")
    assert not costs.only_waits("computes")
    costs.note_refused("waits for the disk")
    assert not costs.is_quick("waits for the disk")
    assert costs.only_waits("waits for the disk")

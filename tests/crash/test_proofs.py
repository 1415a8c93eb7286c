"""A sample of every proof, by a seed that changes; `make proof` runs them in full."""

from __future__ import annotations

import signal

import pytest

from tests.crash import (
    allocations,
    backups,
    backups_beside_writers,
    bucket_backups,
    bucket_crashes,
    bucket_removals,
    buckets,
    cold,
    damage,
    failed_flushes,
    failing_disks,
    failures,
    found_damage,
    identifiers,
    kills,
    limits,
    out_of_memory,
    power_cuts,
    power_loss,
    removals,
    replays,
    restored_directories,
    segments,
)
from tests.crash.history import History


def test_every_disk_that_a_power_cut_leaves_holds_what_was_acknowledged(seed: int) -> None:
    figures = power_loss.sample(seed, moments=30)
    assert figures.states >= 200
    assert not figures.wrong, figures.findings


def test_the_checker_sees_a_loss() -> None:
    """Statements with durability normal, taken for synced ones: a power cut loses some of them by right."""
    history = History(1, 90)
    figures = power_loss.Figures()
    for number, life in enumerate(history.lives):
        for step in life.steps:
            step.synced = True
        moments = list(range(0, life.files.recorded(), 3))
        power_loss.check_life(life, f"life {number}", figures, moments)
    assert figures.lost
    assert not figures.half


def test_a_log_that_is_read_again_says_the_same(seed: int) -> None:
    figures = replays.prove(seed, 12)
    assert figures.outcomes["read after one that did not end"] > 100
    assert not figures.wrong, figures.findings


def test_ids_never_come_twice_nor_out_of_order_whatever_the_clock_does(seed: int) -> None:
    figures = identifiers.prove(seed, 100_000)
    assert figures.outcomes["Snowflake"] >= 100_000
    assert not figures.wrong, figures.findings


def test_a_torn_end_is_cut_kept_and_told(seed: int) -> None:
    figures = damage.prove_torn_tails(seed, step=31)
    assert figures.tried > 150
    assert not figures.wrong, figures.findings


def test_a_flipped_bit_is_refused_or_changes_nothing_and_can_be_repaired(seed: int) -> None:
    figures = damage.prove_flipped_bits(seed, sampled=1500)
    assert figures.outcomes["refused"] > 1000
    assert not figures.wrong, figures.findings


def test_records_and_files_out_of_place_are_refused_and_can_be_repaired(seed: int) -> None:
    figures = damage.prove_moved(seed)
    assert figures.outcomes["refused"] > 100
    assert not figures.wrong, figures.findings


def test_a_file_of_another_log_of_the_same_shape_is_refused() -> None:
    assert not damage.prove_foreign_files(1).wrong


def test_a_changed_byte_of_a_segment_is_refused_and_never_another_answer(seed: int) -> None:
    figures = segments.prove_flipped_segments(seed, step=97)
    assert figures.outcomes["refused"] > 500
    assert not figures.wrong, figures.findings


def test_a_segment_that_was_cut_or_is_another_is_refused(seed: int) -> None:
    cut = segments.prove_cut_segments(seed, step=211)
    foreign = segments.prove_foreign_segments(seed)
    assert cut.outcomes["refused"] > 100
    assert foreign.outcomes["refused"] > 50
    assert not cut.wrong + foreign.wrong, cut.findings + foreign.findings


def test_a_changed_manifest_is_refused(seed: int) -> None:
    figures = segments.prove_manifests(seed, step=7)
    assert figures.outcomes["refused"] > 1000
    assert not figures.wrong, figures.findings


def test_a_failing_operation_loses_nothing_that_was_acknowledged(seed: int) -> None:
    figures = failures.prove(60, every=11, start=seed % 11)
    assert figures.outcomes["poisoned"]
    assert figures.outcomes["refused, and went on"]
    assert not figures.wrong, figures.findings


def test_a_power_cut_within_a_flush_or_a_compaction_leaves_every_row_once_and_nothing_over(seed: int) -> None:
    figures = cold.prove_crashes(seed, every=131)
    assert figures.outcomes["in a checkpoint"] > 3
    assert figures.outcomes["in a flush"] > 20
    assert figures.outcomes["in a compact"] > 20
    assert not figures.wrong, figures.findings


def test_a_flush_or_a_compaction_that_fails_loses_nothing_and_is_done_later(seed: int) -> None:
    figures = cold.prove_failures(seed, every=97)
    assert figures.outcomes["refused, and done later"] > 10
    assert not figures.wrong, figures.findings


def test_a_bucket_that_goes_wrong_loses_nothing(seed: int) -> None:
    figures = buckets.sample(seed, 4)
    assert figures.tried == 4
    assert not figures.wrong, figures.findings


def test_a_process_that_dies_between_two_requests_to_a_bucket_leaves_every_row_once(seed: int) -> None:
    figures = bucket_crashes.sample(seed)
    assert figures.tried == 3
    assert not figures.wrong, figures.findings


def test_a_process_that_dies_within_a_backup_to_a_bucket_leaves_a_whole_one_or_the_one_before(
    seed: int,
) -> None:
    figures = bucket_backups.sample(seed)
    assert figures.outcomes["further: the new backup"]
    assert not figures.wrong, figures.findings


def test_a_process_that_dies_within_a_removal_from_a_bucket_leaves_nothing_over(seed: int) -> None:
    figures = bucket_removals.sample(seed)
    assert figures.tried == 3
    assert not figures.wrong, figures.findings


def test_what_a_flush_that_failed_left_behind_the_next_one_takes_along(seed: int) -> None:
    figures = failed_flushes.prove(seed, every=173)
    assert figures.outcomes["failed, then succeeded"] > 3
    assert not figures.wrong, figures.findings


def test_so_it_does_where_the_storage_is_a_bucket(seed: int) -> None:
    figures = failed_flushes.prove_in_a_bucket(seed, runs=1)
    assert not figures.wrong, figures.findings


def test_a_power_cut_within_a_backup_leaves_a_whole_one_or_the_one_before(seed: int) -> None:
    figures = backups.prove_backups(seed, every=61)
    assert figures.outcomes["first: no backup"]
    assert not figures.wrong, figures.findings


def test_a_power_cut_within_a_restore_leaves_all_or_nothing(seed: int) -> None:
    figures = backups.prove_restores(seed, every=151)
    assert figures.outcomes["database: all of it"]
    assert not figures.wrong, figures.findings


def test_a_power_cut_within_the_making_of_a_directory_leaves_it_whole_or_not_there(seed: int) -> None:
    figures = restored_directories.prove(seed, every=251)
    assert figures.outcomes["durability full: the directory"]
    assert not figures.wrong, figures.findings


def test_a_power_cut_within_a_removal_leaves_all_or_nothing_and_nothing_over(seed: int) -> None:
    figures = removals.prove(seed, every=97)
    assert figures.tried > 15
    assert not figures.wrong, figures.findings


def test_a_backup_beside_writers_is_a_prefix_of_the_order_of_commits(seed: int) -> None:
    figures = backups_beside_writers.prove(seed, 5)
    assert figures.outcomes["with more than the one before"] == 4
    assert not figures.wrong, figures.findings


def test_damage_is_found_by_check_and_refused_by_a_restore(seed: int) -> None:
    checked = found_damage.prove_checked(seed, step=997)
    restored = found_damage.prove_restored(seed, step=97)
    assert checked.outcomes["found"] > 50
    assert restored.outcomes["refused"] > 100
    assert not checked.wrong + restored.wrong, checked.findings + restored.findings


def test_an_opening_that_fails_changes_nothing(seed: int) -> None:
    figures = failures.prove_opening(seed)
    assert figures.outcomes["refused"]
    assert not figures.wrong, figures.findings


@pytest.mark.parametrize("durability", ["full", "normal"])
def test_a_killed_process_loses_nothing_that_was_acknowledged(seed: int, durability: str) -> None:
    figures = kills.prove(seed, 3, durability)
    assert figures.kills == 3
    assert not figures.wrong, figures.findings


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_that_is_asked_to_end_loses_nothing_and_does_not_hang(seed: int, number: int) -> None:
    figures = kills.prove(seed, 2, "full", number)
    assert not figures.wrong, figures.findings


def test_a_process_that_the_kernel_ends_for_want_of_memory_loses_nothing(seed: int) -> None:
    if reason := out_of_memory.missing():
        pytest.skip(reason)
    figures = out_of_memory.prove(seed, 1)
    assert not figures.wrong, figures.findings


@pytest.mark.parametrize("kind", list(power_cuts.FILE_SYSTEMS))
def test_a_power_cut_of_a_real_file_system_loses_nothing_that_was_synced(seed: int, kind: str) -> None:
    if reason := power_cuts.missing(kind):
        pytest.skip(reason)
    figures = power_cuts.prove(seed, kind, 2)
    assert not figures.wrong, figures.findings


@pytest.mark.parametrize("kind", list(power_cuts.FILE_SYSTEMS))
def test_a_disk_that_fails_below_a_real_file_system_loses_nothing_that_was_synced(
    seed: int, kind: str
) -> None:
    if reason := failing_disks.missing(kind):
        pytest.skip(reason)
    figures = failing_disks.prove(seed, kind, 1)
    assert not figures.wrong, figures.findings


def test_a_full_disk_refuses_inserts_takes_deletes_and_goes_on_with_room(seed: int) -> None:
    if reason := limits.missing_mounts():
        pytest.skip(reason)
    figures = limits.prove_full_disks(seed, 2)
    assert not figures.wrong, figures.findings


def test_an_allocation_that_fails_is_an_error_and_loses_nothing(seed: int) -> None:
    if reason := allocations.missing():
        pytest.skip(reason)
    figures = allocations.prove(seed, every=9)
    assert not figures.wrong, figures.findings

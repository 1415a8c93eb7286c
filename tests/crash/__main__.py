"""`python -m tests.crash`: every proof in full; its figures go to docs/proof.md. Ends with 1 where anything was wrong.

Of durability first, then of the other promises that `make test` only samples: isolation, live
queries, the model, both roads, ids.

--seed N       the seed of all of it; without one a new one is drawn, printed, and written down
--times N      that many times as much (a soak)
--only NAME    one proof (several times for several): see PROOFS
--output FILE  where the figures go, by default docs/proof.md; - prints them alone. Lines of other proofs stay
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests import list_append, test_model
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
    page,
    power_cuts,
    power_loss,
    removals,
    replays,
    restored_directories,
    segments,
    whole_tests,
)
from tests.execution import test_simple_select, test_ternary_logic
from tests.native import test_allocation
from tests.oracle import test_oracle
from tests.security import canaries, growing_shapes
from tests.security.canaries_over_http import over_http
from tests.server import log_in_times, schema_cases
from tests.server.websocket import listeners
from tests.third_party import suite


@dataclass(frozen=True)
class Result:
    """What one proof says in the table."""

    tried: str
    found: str
    wrong: int
    findings: tuple[str, ...] = ()
    skipped: str = ""


def _power_loss(seed: int, times: int) -> Result:
    figures = power_loss.prove(seed, 40_000 * times)
    tried = f"{figures.states:,} states, {figures.disks:,} disks that read differently, {figures.torn:,} of them torn"
    found = f"{figures.lost} lost, {figures.extra} extra, {figures.half} half, {figures.other} other"
    return Result(tried, found, figures.wrong, tuple(figures.findings))


def _damage(prove: Callable[[int], damage.Figures]) -> Callable[[int, int], Result]:
    def run(seed: int, times: int) -> Result:
        total = damage.Figures()
        for number in range(times):
            figures = prove(seed + number)
            total.tried += figures.tried
            total.outcomes += figures.outcomes
            total.wrong += figures.wrong
            total.findings += figures.findings
        what = ", ".join(
            f"{count:,} {name}" for name, count in sorted(total.outcomes.items()) if "record" not in name
        )
        return Result(f"{total.tried:,}: {what}", f"{total.wrong} wrong", total.wrong, tuple(total.findings))

    return run


def _counted(prove: Callable[[int, int], failures.Figures]) -> Callable[[int, int], Result]:
    def run(seed: int, times: int) -> Result:
        figures = prove(seed, times)
        what = ", ".join(f"{count:,} {name}" for name, count in sorted(figures.outcomes.items()))
        return Result(
            f"{figures.tried:,}: {what}", f"{figures.wrong} wrong", figures.wrong, tuple(figures.findings)
        )

    return run


def _kills(durability: str, number: int, count: int) -> Callable[[int, int], Result]:
    return lambda seed, times: _of_kills(kills.prove(seed, count * times, durability, number))


def _cuts(kind: str) -> Callable[[int, int], Result]:
    def run(seed: int, times: int) -> Result:
        reason = power_cuts.missing(kind)
        return (
            Result("", "", 0, (), reason) if reason else _of_kills(power_cuts.prove(seed, kind, 100 * times))
        )

    return run


def _failing_disks(kind: str) -> Callable[[int, int], Result]:
    def run(seed: int, times: int) -> Result:
        reason = failing_disks.missing(kind)
        return (
            Result("", "", 0, (), reason)
            if reason
            else _of_kills(failing_disks.prove(seed, kind, 20 * times))
        )

    return run


def _of_kills(figures: kills.Figures) -> Result:
    tried = f"{figures.kills:,}, {figures.acknowledged:,} statements acknowledged, {figures.torn} torn ends"
    if figures.seconds_max:
        tried += f", the slowest ended within {figures.seconds_max:.1f} s"
    found = f"{figures.lost} lost, {figures.extra} extra, {figures.half} half, {figures.other} other"
    return Result(tried, found, figures.wrong, tuple(figures.findings))


def _memory_kills(seed: int, times: int) -> Result:
    reason = out_of_memory.missing()
    return Result("", "", 0, (), reason) if reason else _of_kills(out_of_memory.prove(seed, 20 * times))


def _full_disks(seed: int, times: int) -> Result:
    reason = limits.missing_mounts()
    if reason:
        return Result("", "", 0, (), reason)
    figures = limits.prove_full_disks(seed, 50 * times)
    return Result(f"{figures.tried} fills", f"{figures.wrong} wrong", figures.wrong, tuple(figures.findings))


def _allocations(seed: int, times: int) -> Result:
    reason = allocations.missing()
    if reason:
        return Result("", "", 0, (), reason)
    return _counted(lambda number, _: allocations.prove(number, every=1))(seed, times)


def _native_allocations(seed: int, times: int) -> Result:
    reason = test_allocation.missing()
    if reason:
        return Result("", "", 0, (), reason)
    with tempfile.TemporaryDirectory(prefix="allocations-") as directory:
        code, said, complaint = test_allocation.drive(Path(directory))
    tried = said.strip().removeprefix("allocation_driver: ").removesuffix(": ok")
    wrong = int(code != 0)
    return Result(tried, f"{wrong} wrong", wrong, (complaint,) if wrong else ())


def _list_append(seed: int, times: int) -> Result:
    with tempfile.TemporaryDirectory(prefix="lists-") as directory:
        figures = list_append.prove(Path(directory) / "data", 20_000 * times, seed)
    tried = (
        f"{figures.transactions:,} transactions, {figures.committed:,} committed, "
        f"{figures.failures:,} serialization failures"
    )
    findings = figures.findings
    if not figures.allowed:
        findings += ("they hardly met: not even write skew, which is allowed, was seen",)
    return Result(tried, f"{len(findings)} forbidden anomalies", len(findings), findings)


def _both_roads(seed: int, times: int) -> Result:
    answered = test_simple_select.prove(seed, 10_000 * times)
    return Result(
        f"{answered['native']:,} that the core answers, {answered['engine']:,} more that it leaves alone",
        "0 different",
        0,
    )


def _ternary_logic(seed: int, times: int) -> Result:
    tried = test_ternary_logic.prove(seed, 5_000 * times)
    what = ", ".join(f"{count:,} {name}" for name, count in sorted(tried.items()) if name != "queries")
    return Result(f"{tried['queries']:,}: {what}", "0 different", 0)


def _oracle(seed: int, times: int) -> Result:
    figures = test_oracle.prove(seed, 5_000 * times)
    what = ", ".join(f"{count:,} {name}" for name, count in sorted(figures.outcomes.items()))
    return Result(
        f"{figures.asked:,}: {what}", f"{figures.wrong} wrong", figures.wrong, tuple(figures.findings[:20])
    )


def _third_party(seed: int, times: int) -> Result:
    figures = suite.prove()
    what = ", ".join(f"{count:,} {name}" for name, count in sorted(figures.outcomes.items()))
    return Result(
        f"{figures.asked:,}: {what}", f"{figures.wrong} wrong", figures.wrong, tuple(figures.findings[:20])
    )


def _model(seed: int, times: int) -> Result:
    test_model.prove(seed, runs=500 * times, steps=50)
    return Result(f"{500 * times:,} runs of 50 steps", "0 different", 0)


def _live(seed: int, times: int) -> Result:
    figures = listeners.prove(seed, 10_000 * times, 100)
    tried = (
        f"{figures.commits:,} commits, {figures.changes:,} changes told to 100 listeners, "
        f"{figures.resumed:,} resumptions"
    )
    wrong = len(figures.findings)
    return Result(tried, f"{wrong} wrong", wrong, tuple(figures.findings[:20]))


def _tests(*arguments: str) -> Callable[[int, int], Result]:
    return _counted(lambda *_: whole_tests.prove(*arguments))


PROOFS: dict[str, tuple[str, Callable[[int, int], Result]]] = {
    "power-loss": ("the disk after every operation of scripted histories, times 8 losses", _power_loss),
    "replays": (
        "200 histories of keys written, deleted and written again, read three times, and after every reading that "
        "did not end, times 4 losses",
        _counted(lambda seed, times: replays.prove(seed, 200 * times)),
    ),
    "torn": (
        "the log cut at every byte of its last 3 records, times 4 fills",
        _damage(damage.prove_torn_tails),
    ),
    "bits": (
        "every bit of 4 KiB of a log's middle and of a header flipped",
        _damage(damage.prove_flipped_bits),
    ),
    "moved": ("records and files swapped, repeated, removed, put back", _damage(damage.prove_moved)),
    "segments-flipped": (
        "every byte of 5 cold segments changed, read whole and by ranges",
        _damage(segments.prove_flipped_segments),
    ),
    "segments-cut": (
        "3 cold segments cut at every byte, times 3 fills, read whole and by ranges",
        _damage(segments.prove_cut_segments),
    ),
    "segments-foreign": (
        "another file, or none, under a segment's name",
        _damage(segments.prove_foreign_segments),
    ),
    "manifests": (
        "every bit of 2 manifests flipped, and both cut at every byte",
        _damage(segments.prove_manifests),
    ),
    "cold-crashes": (
        "the disk after every operation of a checkpoint, a flush and a compaction of new rows, changed ones, deleted "
        "ones, nothing but tombstones, rows of an altered table, rows beside those of a stream, and expired "
        "tombstones, times 8 losses: opened, flushed, opened, compacted",
        _counted(lambda seed, _: cold.prove_crashes(seed)),
    ),
    "cold-failures": (
        "every operation on a file of a flush and of a compaction fails: EIO, ENOSPC, once and for good, then a power "
        "cut, and once more without a failure",
        _counted(lambda seed, _: cold.prove_failures(seed)),
    ),
    "buckets": (
        "every request of a flush, a compaction, an opening and reads of rows in a bucket meets 500, 503, 429, a "
        "timeout, a reset, a lost or wrong acknowledgement, half a body, each once, and one of them for good",
        _counted(lambda seed, _: buckets.prove(seed)),
    ),
    "bucket-crashes": (
        "the process dies before every request of a flush and of a compaction whose rows go to a bucket, of the same "
        "kinds of changes; at every third one the power is cut, too",
        _counted(lambda seed, _: bucket_crashes.prove(seed)),
    ),
    "backup-bucket-crashes": (
        "the process dies before every request of a first and of a further backup to a bucket; at every third one the "
        "power is cut, too: opened, restored, backed up again, restored",
        _counted(lambda seed, _: bucket_backups.prove(seed)),
    ),
    "removal-bucket-crashes": (
        "the process dies before every request of DROP TABLE, DROP NAMESPACE and ERASE USER DATA of rows in a bucket; "
        "at every third one the power is cut, too: all or nothing, nothing left over, no byte of what was erased",
        _counted(lambda seed, _: bucket_removals.prove(seed)),
    ),
    "failed-flushes": (
        "every fifth operation on a file of a flush fails, rows are written, the next flush succeeds, then a kill or "
        "a power cut",
        _counted(lambda seed, _: failed_flushes.prove(seed, every=5)),
    ),
    "failed-flushes-bucket": (
        "a bucket goes wrong for good at a request of a flush, rows are written, the next flush succeeds, then a kill "
        "or a power cut",
        _counted(lambda seed, times: failed_flushes.prove_in_a_bucket(seed, runs=20 * times)),
    ),
    "backup-crashes": (
        "the disk, backups on it, after every operation of a first and of a further backup, times 8 losses: opened, "
        "restored, backed up again, restored",
        _counted(lambda seed, _: backups.prove_backups(seed)),
    ),
    "restore-crashes": (
        "the disk after every operation of RESTORE DATABASE and RESTORE NAMESPACE, times 8 losses: all or nothing, "
        "and restored again",
        _counted(lambda seed, _: backups.prove_restores(seed)),
    ),
    "restoring-crashes": (
        "the disk after every operation of kalamdb.restore(), times 8 losses: the directory whole, or none, and "
        "restored again",
        _counted(lambda seed, _: restored_directories.prove(seed)),
    ),
    "removals": (
        "the disk after every operation of DROP TABLE, DROP NAMESPACE and ERASE USER DATA of rows in all tiers, times "
        "8 losses: all or nothing, nothing left over, no byte of what was erased",
        _counted(lambda seed, _: removals.prove(seed)),
    ),
    "backups-beside-writers": (
        "backups while three writers, flushes, compactions and checkpoints go on, each restored: a prefix of the "
        "order of commits",
        _counted(lambda seed, times: backups_beside_writers.prove(seed, 50 * times)),
    ),
    "damage-checked": (
        "every 11th byte of every file of a closed database changed (of its log every 176th), files cut and missing: "
        "found by check, or of no matter",
        _counted(lambda seed, _: found_damage.prove_checked(seed, step=11)),
    ),
    "damage-restored": (
        "every 7th byte of every file of a backup changed, files cut and missing, then restored",
        _counted(lambda seed, _: found_damage.prove_restored(seed, step=7)),
    ),
    "foreign": (
        "a file of another log, of the same shape, in the place of each",
        _damage(damage.prove_foreign_files),
    ),
    "failures": (
        "every operation on a file in a script of 300 statements fails: EIO, ENOSPC, EDQUOT (EROFS, EMFILE), once "
        "and for good, times 8 losses",
        _counted(lambda *_: failures.prove(300)),
    ),
    "opening": (
        "every operation of an opening fails, times 8 losses",
        _counted(lambda seed, _: failures.prove_opening(seed)),
    ),
    "allocations": ("every allocation of the core fails under a script of statements", _allocations),
    "native-allocations": (
        "every allocation of a store's life fails, alone and with all after it",
        _native_allocations,
    ),
    "memory-kills": ("the kernel's killer in a control group of 200 MB, under four writers", _memory_kills),
    "kills-full": ("kill -9 under four writers, durability full", _kills("full", signal.SIGKILL, 300)),
    "kills-normal": ("kill -9 under four writers, durability normal", _kills("normal", signal.SIGKILL, 300)),
    "sigterm": ("SIGTERM under four writers", _kills("full", signal.SIGTERM, 100)),
    "sigint": ("SIGINT under four writers", _kills("full", signal.SIGINT, 100)),
    "cuts-ext4": ("power cuts of ext4 under four writers", _cuts("ext4")),
    "cuts-xfs": ("power cuts of XFS under four writers", _cuts("xfs")),
    "disks-ext4": (
        "the disk below ext4 fails with EIO under four writers, then a power cut",
        _failing_disks("ext4"),
    ),
    "disks-xfs": (
        "the disk below XFS fails with EIO under four writers, then a power cut",
        _failing_disks("xfs"),
    ),
    "full-disks": ("a full disk, DELETE and DROP on it, and room again", _full_disks),
    "limits": (
        "too few descriptors, limits on files, short writes and EINTR, syncs that wait and fail, read-only places, "
        "second owners, forks, exits",
        _tests("tests/crash/test_limits.py", "tests/crash/test_syncs.py", "tests/test_database.py"),
    ),
    "isolation": (
        "Hermitage's cases one by one, and anomalies planted for the checker of the next line",
        _tests("tests/test_transactions.py", "tests/test_list_append.py"),
    ),
    "list-append": ("lists read and appended to by eight threads in transactions", _list_append),
    "model": ("statements, kills and power cuts at random beside a dictionary", _model),
    "canaries": (
        "fifty users whose rows carry canaries ask for whatever can be asked, over eight threads",
        _counted(lambda seed, times: canaries.prove(seed, canaries.WHOLE * times)),
    ),
    "canaries-http": (
        "the same users ask a server, as JSON and as Arrow",
        _counted(lambda seed, times: canaries.prove(seed, canaries.WHOLE * times, over_http)),
    ),
    "access": (
        "every role, action, kind of table, access and grant, on every road; escalations; what was found elsewhere",
        _tests(
            "tests/security/test_access_matrix.py",
            "tests/security/test_escalation.py",
            "tests/security/test_named_findings.py",
            "tests/security/test_host_files.py",
            "tests/security/test_opened_files.py",
            "tests/auth",
        ),
    ),
    "log-ins": (
        "over HTTP, wrong passwords of users and of names that nobody has, in pairs: medians that differ by less than "
        "5 %; and a hundred log-ins at once, beside which 99 of 100 SELECTs take less than a second",
        _counted(lambda seed, times: log_in_times.prove(seed, log_in_times.PAIRS * times)),
    ),
    "requests": (
        "requests made of the server's OpenAPI document, right and wrong ones: no answer of 500 or above, and none "
        "that the document does not have",
        _counted(lambda seed, times: schema_cases.prove(seed, schema_cases.WHOLE * times)),
    ),
    "live": (
        "a hundred listeners over the network, each with a filter of its own and ended and resumed at random, beside "
        "four writers: told exactly what was committed",
        _live,
    ),
    "browser": (
        "a page in Chromium: it subscribes over a WebSocket and sees an insert; left out where there is no Chromium",
        _tests("tests/server/websocket/test_browser.py"),
    ),
    "both-roads": ("simple SELECTs at random, by the core and by the query engine", _both_roads),
    "ternary-logic": (
        "predicates at random: three parts make the whole, WHERE finds what is TRUE, and rows in memory, checkpointed, "
        "flushed, compacted, spread and opened anew give one answer",
        _ternary_logic,
    ),
    "oracle": (
        "queries at random beside SQLite and DuckDB, over rows in memory, checkpointed, flushed, compacted, spread and "
        "opened anew: what both say, we say",
        _oracle,
    ),
    "third-party": (
        "queries of SQLite's own tests, over shared tables, a user's beside another user, all rows hot, all cold: the "
        "answers that their authors wrote, a refusal that is listed, or a difference that is listed with its reason",
        _third_party,
    ),
    "growing": (
        f"texts of {len(growing_shapes.SHAPES)} shapes that grow to a million parts, on threads of three kinds",
        _counted(lambda seed, _: growing_shapes.prove(seed)),
    ),
    "ids": (
        "ids for eight threads, with a clock that stands, jumps and goes back by an hour",
        _counted(lambda seed, times: identifiers.prove(seed, 2_000_000 * times)),
    ),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--only", action="append", choices=PROOFS)
    parser.add_argument("--output", default="docs/proof.md")
    given = parser.parse_args()
    machine = page.machine(given.seed, given.times)
    print(f"seed {given.seed}", flush=True)
    output = Path(given.output) if given.output != "-" else None
    lines = page.lines(output) if output else {}
    wrong = 0
    for name, (what, prove) in PROOFS.items():
        if given.only and name not in given.only:
            continue
        started = time.monotonic()
        try:
            result = prove(given.seed, given.times)
        except Exception:
            # One that cannot go on has found something, and keeps the others from nothing.
            result = Result("", "it could not go on", 1, (traceback.format_exc(),))
        seconds = time.monotonic() - started
        wrong += result.wrong
        if result.skipped:
            print(f"{name}: skipped, {result.skipped}", flush=True)
            lines[name] = page.line(name, what, f"not tried: {result.skipped}", "", "", machine)
        else:
            print(f"{name}: {result.tried}; {result.found} ({seconds:.0f} s)", flush=True)
            for finding in result.findings:
                print(f"    {finding}", flush=True)
            lines[name] = page.line(name, what, result.tried, result.found, f"{seconds:.0f} s", machine)
        if output:
            output.write_text(page.written(lines, list(PROOFS)))
    if output is None:
        print(page.written(lines, list(PROOFS)))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

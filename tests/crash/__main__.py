"""`python -m tests.crash`: every proof in full; its figures go to docs/proof.md. Ends with 1 where anything was wrong.

--seed N       the seed of all of it; without one a new one is drawn, printed, and written down
--times N      that many times as much (a soak)
--only NAME    one proof (several times for several): see PROOFS
--output FILE  where the figures go, by default docs/proof.md; - prints them alone
"""

from __future__ import annotations

import argparse
import platform
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.crash import allocations, damage, failures, kills, limits, power_cuts, power_loss, segments


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


def _failures(prove: Callable[[int], failures.Figures]) -> Callable[[int, int], Result]:
    def run(seed: int, times: int) -> Result:
        figures = prove(seed)
        what = ", ".join(f"{count:,} {name}" for name, count in sorted(figures.outcomes.items()))
        return Result(
            f"{figures.tried:,}: {what}", f"{figures.wrong} wrong", figures.wrong, tuple(figures.findings)
        )

    return run


def _kills(durability: str, number: int, count: int) -> Callable[[int, int], Result]:
    def run(seed: int, times: int) -> Result:
        return _of_kills(kills.prove(seed, count * times, durability, number))

    return run


def _cuts(kind: str) -> Callable[[int, int], Result]:
    def run(seed: int, times: int) -> Result:
        reason = power_cuts.missing(kind)
        return (
            Result("", "", 0, (), reason) if reason else _of_kills(power_cuts.prove(seed, kind, 100 * times))
        )

    return run


def _of_kills(figures: kills.Figures) -> Result:
    tried = f"{figures.kills:,}, {figures.acknowledged:,} statements acknowledged, {figures.torn} torn ends"
    found = f"{figures.lost} lost, {figures.extra} extra, {figures.half} half, {figures.other} other"
    return Result(tried, found, figures.wrong, tuple(figures.findings))


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
    return _failures(lambda number: allocations.prove(number, every=1))(seed, times)


PROOFS: dict[str, tuple[str, Callable[[int, int], Result]]] = {
    "power-loss": ("the disk after every operation of scripted histories, times 8 losses", _power_loss),
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
    "failures": (
        "every operation on a file fails: EIO, ENOSPC, EDQUOT, once and for good, times 8 losses",
        _failures(lambda _: failures.prove(100)),
    ),
    "opening": ("every operation of an opening fails", _failures(failures.prove_opening)),
    "allocations": ("every allocation of the core fails", _allocations),
    "kills-full": ("kill -9 under four writers, durability full", _kills("full", signal.SIGKILL, 300)),
    "kills-normal": ("kill -9 under four writers, durability normal", _kills("normal", signal.SIGKILL, 300)),
    "sigterm": ("SIGTERM under four writers", _kills("full", signal.SIGTERM, 100)),
    "cuts-ext4": ("power cuts of ext4 under four writers", _cuts("ext4")),
    "cuts-xfs": ("power cuts of XFS under four writers", _cuts("xfs")),
    "full-disks": ("a full disk, DELETE and DROP on it, and room again", _full_disks),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--only", action="append", choices=PROOFS)
    parser.add_argument("--output", default="docs/proof.md")
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    lines = []
    wrong = 0
    for name, (what, prove) in PROOFS.items():
        if given.only and name not in given.only:
            continue
        started = time.monotonic()
        result = prove(given.seed, given.times)
        seconds = time.monotonic() - started
        wrong += result.wrong
        if result.skipped:
            print(f"{name}: skipped, {result.skipped}", flush=True)
            lines.append(f"| {what} | not tried: {result.skipped} | | |")
            continue
        print(f"{name}: {result.tried}; {result.found} ({seconds:.0f} s)", flush=True)
        for finding in result.findings:
            print(f"    {finding}", flush=True)
        lines.append(f"| {what} | {result.tried} | {result.found} | {seconds:.0f} s |")
    page = report(lines, given.seed, given.times)
    if given.output == "-":
        print(page)
    else:
        Path(given.output).write_text(page)
    return 1 if wrong else 0


def report(lines: list[str], seed: int, times: int) -> str:
    revision = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    again = f"python -m tests.crash --seed {seed}" + (f" --times {times}" if times > 1 else "")
    machine = f"{platform.system()} {platform.release()}, {platform.machine()}"
    return f"""# Proof

What was tried against durability, and what was found wrong, by `{again}` at {revision or "an unknown revision"}, Python
{platform.python_version()}, {machine}. What it means is in [durability](durability.md).

| what | tried | found | took |
| --- | --- | --- | --- |
{chr(10).join(lines)}
"""


if __name__ == "__main__":
    sys.exit(main())

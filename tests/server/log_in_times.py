"""What log-ins over HTTP cost: a wrong password takes as long for a name that nobody has, and a hundred at once keep
no SELECT waiting (S8).

Tries come in pairs, one of a user and one of nobody, each from an address of its own, so that what else the machine
does falls on both alike, and no back-off is what is measured.
"""

from __future__ import annotations

import itertools
import random
import statistics
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx

import kalamdb
from kalamdb.auth.login_limits import ACCOUNT
from tests.crash.failures import Figures
from tests.server.serving import DEADLINE_S, PLAIN, Served, sql

PAIRS = 200
DIFFERENCE_MAX = 0.05
"""Of the two medians, as a part of the median."""
SERIES_MAX = 3
"""Only a difference that comes again, and in the same direction, is one."""
AT_ONCE = 100
SELECT_MAX_S = 1.0
"""For 99 of 100 SELECTs while others log in."""
PROXY = "127.0.0.1"
"""Setting `trusted_proxies`, so that a client has as many addresses as it likes."""


@dataclass(frozen=True)
class Tried:
    """A try with a wrong password. `took_s`: as its client sees it. `computed_s`: of the processor, of all threads."""

    status: int
    took_s: float
    computed_s: float


def prove(seed: int, pairs: int = PAIRS, at_once: int = AT_ONCE) -> Figures:
    """`pairs`: of tries in a series. `at_once`: how many log in while others read."""
    figures, dice = Figures(), random.Random(seed)
    with (
        tempfile.TemporaryDirectory(prefix="log-ins-") as directory,
        kalamdb.open(Path(directory) / "data", trusted_proxies=PROXY) as db,
        Served(db) as served,
    ):
        db.execute("CREATE NAMESPACE app; CREATE SHARED TABLE app.notes (id BIGINT PRIMARY KEY)")
        db.execute("INSERT INTO app.notes VALUES (1); CREATE USER ann")
        _prove_alike(served, dice, pairs, figures)
        _prove_aside(served, at_once, figures)
    return figures


def _prove_alike(served: Served, dice: random.Random, pairs: int, figures: Figures) -> None:
    differences = []
    for series in range(SERIES_MAX):
        tried = _pairs(served, dice, pairs, series)
        refused = [one.status for two in tried.values() for one in two if one.status != 401]
        if refused:
            figures.find(f"{len(refused)} of {2 * pairs} tries were answered {set(refused)}, not 401")
        figures.tried += 2 * pairs
        took, computed = (
            _difference(*([getattr(one, field) for one in tried[who]] for who in ("user", "nobody")))
            for field in ("took_s", "computed_s")
        )
        differences.append(took)
        median_s = statistics.median(one.took_s for one in tried["user"])
        figures.outcomes[
            f"wrong passwords, whose medians of {median_s * 1000:.0f} ms differ by {abs(took):.1%}, "
            f"of the processor's time by {abs(computed):.1%}"
        ] += 2 * pairs
        if abs(took) < DIFFERENCE_MAX:
            return
    if len({difference > 0 for difference in differences}) == 1:
        told = ", ".join(f"{difference:+.1%}" for difference in differences)
        figures.find(f"a user's wrong password takes another time than nobody's, in each series: {told}")


def _pairs(served: Served, dice: random.Random, pairs: int, series: int) -> dict[str, list[Tried]]:
    """Tries of `pairs` users and as many who are none, in turns; no name so often that it would have to wait."""
    names: dict[str, list[str]] = {"user": [], "nobody": []}
    for number in range(-(-pairs // ACCOUNT.free)):
        known = f"known-{series}-{number}"
        served.db.execute(f"CREATE USER '{known}' WITH PASSWORD 'correct horse battery'")
        names["user"] += [known] * ACCOUNT.free
        names["nobody"] += [f"other-{series}-{number}"] * ACCOUNT.free
    tried: dict[str, list[Tried]] = {"user": [], "nobody": []}
    addresses = (f"10.{series}.{number >> 8}.{number & 255}" for number in itertools.count())
    for user, nobody in list(zip(names["user"], names["nobody"], strict=True))[:pairs]:
        for who, name in dice.sample([("user", user), ("nobody", nobody)], 2):
            tried[who].append(_try(served, name, next(addresses)))
    return tried


def _try(served: Served, name: str, address: str) -> Tried:
    body = {"user": name, "password": "not the password"}
    started, computed = time.perf_counter(), time.process_time()
    answer = served.client().post("/v1/api/auth/login", json=body, headers={"X-Forwarded-For": address})
    return Tried(answer.status_code, time.perf_counter() - started, time.process_time() - computed)


def _difference(user_s: list[float], nobody_s: list[float]) -> float:
    """By how much of the median a user's tries take longer than nobody's."""
    medians = statistics.median(user_s), statistics.median(nobody_s)
    return (medians[0] - medians[1]) / max(medians)


def _prove_aside(served: Served, at_once: int, figures: Figures) -> None:
    statuses, took_s = select_times(served, at_once)
    computed = statuses.count(401)
    slow_s = sorted(took_s)[int(len(took_s) * 0.99)]
    figures.tried += at_once
    figures.outcomes[
        f"of {at_once} at once computed, {len(took_s):,} SELECTs beside them, 99 of 100 in {slow_s:.2f} s"
    ] += computed
    if not set(statuses) <= {401, 429} or not computed:
        figures.find(
            f"{at_once} log-ins at once were answered {sorted(set(statuses))}, {computed} of them 401"
        )
    if slow_s >= SELECT_MAX_S:
        figures.find(f"of 100 SELECTs beside {at_once} log-ins, one took {slow_s:.2f} s")


def select_times(served: Served, at_once: int) -> tuple[list[int], list[float]]:
    """While so many log in at the same moment with wrong passwords: how they were answered, and what each SELECT of
    `ann` on app.notes took that came one after the other, in seconds. REQUIRES: the setting trusted_proxies, PROXY."""
    select = "SELECT id FROM app.notes WHERE id = 1"
    assert sql(served, "ann", select).status_code == 200
    together = threading.Barrier(at_once + 1)

    def log_in(number: int) -> int:
        with httpx.Client(base_url=served.url, timeout=DEADLINE_S, verify=PLAIN) as client:
            body = {"user": f"user{number}", "password": "not the password"}
            together.wait(DEADLINE_S)
            headers = {"X-Forwarded-For": f"192.0.2.{number}"}
            return client.post("/v1/api/auth/login", json=body, headers=headers).status_code

    took_s = []
    with ThreadPoolExecutor(at_once) as clients:
        answers = [clients.submit(log_in, number) for number in range(at_once)]
        together.wait(DEADLINE_S)
        while not all(answer.done() for answer in answers):
            started = time.perf_counter()
            assert sql(served, "ann", select).status_code == 200
            took_s.append(time.perf_counter() - started)
    return [answer.result() for answer in answers], took_s

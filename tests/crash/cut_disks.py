"""The disks that power cuts leave of what was recorded: one for each moment and loss, each looked at once."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable

from kalamcore.system import FileSystem
from tests.crash.failures import Figures
from tests.crash.power_loss import LOSSES

Check = Callable[[FileSystem, bool], tuple[str, str]]
"""Looks at a disk, and knows whether what was done had been acknowledged. The outcome that it counts as,
and what is wrong."""


class CutDisks:
    """Tries every `every`-th disk, over several recordings, and counts what is found."""

    def __init__(self, seed: int, every: int) -> None:
        self.figures = Figures()
        self._seed = seed
        self._every = every
        self._dice = random.Random(seed)
        self._number = seed

    def cut(
        self,
        what: str,
        files: FileSystem,
        check: Check,
        *,
        acknowledged_at: int | None = None,
        last_always: bool = False,
    ) -> None:
        """Check the disks of one recording, those that are alike once. `acknowledged_at`: the first moment at which it
        was; None: never. `last_always`: the disk of the last moment that lost all is never left out."""
        moments = files.recorded()
        known: dict[tuple[int, bool], tuple[str, str]] = {}
        for moment in range(moments):
            acknowledged = acknowledged_at is not None and moment >= acknowledged_at
            for loss in LOSSES:
                self._number += 1
                kept = last_always and moment == moments - 1 and loss == "all"
                if self._number % self._every and not kept:
                    continue
                loss_seed = self._dice.getrandbits(32)
                disk = files.crash(loss, loss_seed, after=moment)
                self.figures.tried += 1
                key = disk.fingerprint(), acknowledged
                if key not in known:
                    known[key] = check(disk, acknowledged)
                    if len(known) % 50 == 0:
                        gc.collect()
                found, wrong = known[key]
                self.figures.outcomes[found] += 1
                if wrong:
                    where = f"{what}, moment {moment} of {moments} {files.recorded_operation(moment)}"
                    self.figures.find(f"{where}, loss {loss} {loss_seed}, seed {self._seed}: {wrong}")

"""The audit log: who did what, for whom, and whether they might. Rows are added, and go by age alone.

What changes something and its row here are one commit wherever that is possible (`put`); everything else has its row
on the disk before its answer is given.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kalamcore.store import WriteBatch
from kalamdb.auth.reserved import AUDIT_LOG, AUDIT_LOG_ID, ONE_PARTITION
from kalamdb.engine.core_errors import core_errors_translated
from kalamdb.engine.periodic import Periodic

if TYPE_CHECKING:
    from kalamdb.engine import Engine

SUCCESS, DENIED = "success", "denied"
TEXT_CHARACTERS_MAX = 1000
"""Of target, subject and details; the rest is cut."""
_SHORTER = ((200, 8), (40, 8), (10, 2))
"""To how many characters texts in details are cut, and to how many items lists, until it is short enough."""
PRUNE_INTERVAL = datetime.timedelta(hours=1)
_PRUNED_TOGETHER_MAX = 1000
_EPOCH_MS = 1_704_067_200_000


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """`actor`: whose session it is; `subject`: for whom, where that is another; `target`: what it was done to;
    `address`: where the request came from, None in a process."""

    actor: str
    action: str
    outcome: str
    target: str | None = None
    subject: str | None = None
    address: str | None = None
    details: Mapping[str, object] | None = None


class AuditLog:
    """Writes and reads the log. Safe for threads."""

    def __init__(
        self,
        engine: Callable[[], Engine],
        new_id: Callable[[], int],
        now: Callable[[], datetime.datetime],
        retention: datetime.timedelta,
        *,
        sync: bool,
    ) -> None:
        self._engine = engine
        self._rows = engine().rows(AUDIT_LOG, [AUDIT_LOG])
        self._new_id = new_id
        self._now = now
        self._retention = retention
        self._sync = sync
        self._pruning = Periodic(PRUNE_INTERVAL)

    def put(self, batch: WriteBatch, entry: AuditEntry) -> None:
        """Add a row to a commit that is being made."""
        batch.insert(AUDIT_LOG_ID, ONE_PARTITION, self._rows.layout, self._values(entry))

    def write(self, entry: AuditEntry, *, sync: bool = True) -> None:
        """Add a row by itself, on the disk when this returns, or without `sync` soon. Raises as Engine.commit."""
        engine = self._engine()
        batch = WriteBatch(engine.snapshot())
        self.put(batch, entry)
        engine.commit(batch, sync=sync and self._sync)
        self._prune()

    def all(self) -> list[tuple[Any, ...]]:
        """Every row that is kept, the oldest first, in the order of the columns of system.audit_log."""
        engine = self._engine()
        with core_errors_translated():
            found: list[tuple[Any, ...]] = engine.store.scan(
                AUDIT_LOG_ID, ONE_PARTITION, engine.snapshot(), self._rows.reader
            )
        return found

    def prune(self, before: datetime.datetime) -> int:
        """Delete the rows from before this instant; how many."""
        high = self._rows.encode_key((max(0, int(before.timestamp() * 1000) - _EPOCH_MS)) << 22)
        pruned = 0
        while True:
            engine = self._engine()
            snapshot = engine.snapshot()
            with core_errors_translated():
                found: list[Any] = engine.store.scan(
                    AUDIT_LOG_ID,
                    ONE_PARTITION,
                    snapshot,
                    self._rows.reader,
                    high=high,
                    limit=_PRUNED_TOGETHER_MAX,
                )
            batch = WriteBatch(snapshot)
            for values in found:
                batch.delete(AUDIT_LOG_ID, ONE_PARTITION, self._rows.layout, values)
            if len(batch):
                engine.commit(batch, sync=False)
                pruned += len(batch)
            if len(found) < _PRUNED_TOGETHER_MAX:
                return pruned

    def _prune(self) -> None:
        """Forget what is beyond the retention, once an hour at most."""
        now = self._now()
        if self._pruning.is_due(now):
            self.prune(now - self._retention)

    def _values(self, entry: AuditEntry) -> tuple[object, ...]:
        return (
            self._new_id(),
            self._now(),
            entry.actor,
            _cut(entry.subject),
            entry.action,
            _cut(entry.target),
            entry.outcome,
            entry.address,
            None if entry.details is None else _json(entry.details),
        )


def _cut(text: str | None) -> str | None:
    return None if text is None else text[:TEXT_CHARACTERS_MAX].encode(errors="replace").decode()


def _json(details: Mapping[str, object]) -> str:
    """Cut within, so that it is JSON however much of it somebody wrote: whoever looks into the log reads every row."""
    found: object = dict(details)
    for characters, items in (*_SHORTER, (0, 0)):
        text = json.dumps(found, ensure_ascii=False)
        if len(text) <= TEXT_CHARACTERS_MAX:
            return text.encode(errors="replace").decode()
        found = _shorter(dict(details), characters, items)
    return json.dumps({"cut": len(details)})


def _shorter(value: object, characters: int, items: int) -> object:
    match value:
        case str() if len(value) > characters:
            return value[:characters] + "…"
        case dict():
            return {name: _shorter(one, characters, items) for name, one in value.items()}
        case list():
            kept = [_shorter(one, characters, items) for one in value[:items]]
            return kept if len(value) <= items else [*kept, f"… {len(value) - items} more"]
    return value

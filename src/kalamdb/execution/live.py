"""Live queries by statement: what ends one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kalamdb.result import Result

if TYPE_CHECKING:
    from kalamdb.execution.context import Context
    from kalamdb.sql.live import KillLiveQuery


def kill_live_query(statement: KillLiveQuery, context: Context) -> Result:
    """End a live query: whoever listens to it is told so."""
    context.services.kill_live_query(statement.live_id, context.user, context.rights)
    return Result.affected(1, f"Live query {statement.live_id} is ended")

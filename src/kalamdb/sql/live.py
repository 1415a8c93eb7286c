"""What ends a live query: the statements of live.lark."""

from __future__ import annotations

from dataclasses import dataclass

from kalamdb.sql.rules import Rules, Token


@dataclass(frozen=True, slots=True)
class KillLiveQuery:
    """KILL LIVE QUERY 'id'"""

    live_id: str


class LiveRules(Rules):
    """The rules of live.lark."""

    def kill_live_query(self, live_id: Token) -> KillLiveQuery:
        return KillLiveQuery(live_id.fixed)

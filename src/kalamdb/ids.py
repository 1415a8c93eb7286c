"""Identifiers that sort by time, one or many: Snowflake ids, UUIDs of version 7, ULIDs.

Each is strictly increasing within the process, over all of its threads; a forked child begins anew. A database has a
Snowflake generator of its own, which also goes on after a restart; these are for code that needs an id without one.
They are no secrets: part of each is the time, and neighbours can be guessed.

The functions are the core's own, for a Python function around one would take longer than the id.
"""

from kalamcore.ids import snowflake_id, ulid, uuid7

__all__ = ["snowflake_id", "ulid", "uuid7"]

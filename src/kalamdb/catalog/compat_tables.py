"""The system tables that are there, or have other columns, under the profile kalamdb-0.4: its clients ask for them."""

from __future__ import annotations

from kalamdb.catalog.system_tables import Row, SystemSource, SystemTable, columns_of, live_query_rows


def _stats(source: SystemSource) -> list[Row]:
    return [(name, value, name, str(value)) for name, value in sorted(source.statistics().items())]


def _sessions(source: SystemSource) -> list[Row]:
    """The reader's own: over HTTP a session lasts for one request."""
    return [source.session()]


def _cluster(source: SystemSource) -> list[Row]:
    """The one node that there is."""
    return [("standalone", source.settings.worker_id, "leader", "active", True, True)]


COMPAT_TABLES: dict[str, SystemTable] = {
    "system.stats": SystemTable(
        columns_of("name! TEXT, value! BIGINT, metric_name! TEXT, metric_value! TEXT"), _stats
    ),
    "system.live": SystemTable(
        columns_of(
            "live_id! TEXT, user_id! TEXT, namespace_id! TEXT, table_name! TEXT, query! TEXT, "
            "options JSON, changes! BIGINT, created_at! TIMESTAMP, last_change_at TIMESTAMP"
        ),
        live_query_rows,
    ),
    "system.sessions": SystemTable(
        columns_of("user_id! TEXT, role! TEXT, namespace_id! TEXT"),
        _sessions,
    ),
    "system.cluster": SystemTable(
        columns_of(
            "cluster_id! TEXT, node_id! BIGINT, role! TEXT, status! TEXT, is_self! BOOLEAN, is_leader! BOOLEAN"
        ),
        _cluster,
    ),
}

"""Listeners that are garbage, in circles with what made them."""

from __future__ import annotations

import gc

import kalamdb


class Holder:
    """Something of a circle."""


def test_listeners_in_circles_are_collected(db: kalamdb.Database) -> None:
    """Whatever the collector clears first."""
    db.execute("CREATE NAMESPACE app")
    db.execute("CREATE SHARED TABLE app.t (id BIGINT PRIMARY KEY)")
    queries = db.live
    for _ in range(50):
        holder = Holder()
        subscription = db.session("ann").subscribe("SELECT * FROM app.t")
        holder.live = subscription._live
        holder.listener = subscription._live.hand_over()
        subscription._live.on_end = lambda holder=holder: None
        subscription.close()
        del subscription, holder
        gc.collect()

    assert len(queries) == 0
    db.execute("INSERT INTO app.t (id) VALUES (1)")
    assert db.listeners(db.catalog.table("app", "t").table_id) == 0

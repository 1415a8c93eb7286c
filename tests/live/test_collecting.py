"""Listeners that are garbage, in circles with what made them."""

from __future__ import annotations

import gc

import kalamdb


class Holder:
    """Something of a circle."""


def test_listeners_in_circles_are_collected(db: kalamdb.Database) -> None:
    """Though the collector comes to a listener first, which closes itself with a store that it must still have."""
    db.execute("CREATE NAMESPACE app")
    db.execute("CREATE SHARED TABLE app.t (id BIGINT PRIMARY KEY)")
    table_id = db.catalog.table("app", "t").table_id
    # The collector is asked for what is made here, and need not look through all that the tests before have left.
    gc.freeze()
    for _ in range(50):
        subscription = db.session("ann").subscribe("SELECT * FROM app.t")
        listener = subscription._live.hand_over()
        subscription.close()
        # Made behind the listener, so that it is cleared behind it.
        holder = Holder()
        holder.itself, holder.listener = holder, listener
        del subscription, listener, holder
        gc.collect()
    gc.unfreeze()

    db.execute("INSERT INTO app.t (id) VALUES (1)")
    assert db.listeners(table_id) == 0

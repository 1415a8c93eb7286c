"""What an installed wheel must do, in an environment that has nothing but it and what it asks for.

`make wheel` and cibuildwheel run it with the environment's own Python, outside of the checkout.
"""

import tempfile
from importlib.metadata import files
from pathlib import Path

import kalamcore
import kalamdb


def main() -> None:
    """Open, insert, select, subscribe, open again; and what must lie beside the modules."""
    names = {str(path) for path in files("kalamdb") or ()}
    assert {"kalamdb/py.typed", "kalamcore/py.typed", "kalamcore/store.pyi"} <= names, sorted(names)[:50]
    assert any(name.endswith("licenses/LICENSE") for name in names)

    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory) / "data"
        with kalamdb.open(place) as db:
            db.execute(
                "CREATE USER TABLE notes (id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(), body TEXT NOT NULL)"
            )
            ann, ben = db.session("ann"), db.session("ben")
            with ann.subscribe("SELECT body FROM notes") as events:
                ann.execute("INSERT INTO notes (body) VALUES (?)", ["hello"])
                ben.execute("INSERT INTO notes (body) VALUES ('not for ann')")
                seen = next(event for event in events if event.rows)
                assert [row["body"] for row in seen.rows] == ["hello"], seen
            assert ann.execute("SELECT body FROM notes").fetchall() == [("hello",)]
            assert ann.execute("SELECT upper(body) AS loud FROM notes").arrow().to_pydict() == {
                "loud": ["HELLO"]
            }
            db.flush("notes")
        with kalamdb.open(place) as db:
            assert db.session("ann").execute("SELECT count(*) FROM notes").fetchone() == (1,)
    assert kalamcore.first_null([(1,), (None,)], [0]) == (1, 0)
    print(f"kalamdb {kalamdb.__version__} works from {Path(kalamdb.__file__).parent}")


main()

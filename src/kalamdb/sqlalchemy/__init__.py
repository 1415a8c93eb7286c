"""The SQLAlchemy dialect, `kalamdb://`: Core, ORM and reflection over kalamdb; needs `pip install kalamdb[sqlalchemy]`.

`insert` has ON CONFLICT. docs/sqlalchemy.md tells what the dialect adds to tables, and what it leaves out.
"""

# That of SQLite says it as kalamdb does.
from sqlalchemy.dialects.sqlite import insert

from kalamdb.sqlalchemy.dialect import KalamDialect
from kalamdb.sqlalchemy.embedded import EmbeddedDialect
from kalamdb.sqlalchemy.http import HttpDialect, HttpsDialect

__all__ = ["EmbeddedDialect", "HttpDialect", "HttpsDialect", "KalamDialect", "insert"]

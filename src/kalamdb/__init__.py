"""kalamdb: an embeddable SQL database with one small, private, live database per user."""

from kalamdb.database import Database, open  # noqa: A004
from kalamdb.errors import Error
from kalamdb.repair import check, repair
from kalamdb.restoring import restore
from kalamdb.result import Result
from kalamdb.session import Session, Statement

__version__ = "0.1.0"
__all__ = ["Database", "Error", "Result", "Session", "Statement", "check", "open", "repair", "restore"]

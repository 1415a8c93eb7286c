"""Transactions: the statements of transaction.lark."""

from __future__ import annotations

from dataclasses import dataclass

from kalamdb.sql.rules import Rules


@dataclass(frozen=True, slots=True)
class Begin:
    """BEGIN [TRANSACTION|WORK] | START TRANSACTION"""


@dataclass(frozen=True, slots=True)
class Commit:
    """COMMIT [TRANSACTION|WORK] | END [TRANSACTION|WORK]"""


@dataclass(frozen=True, slots=True)
class Rollback:
    """ROLLBACK [TRANSACTION|WORK]"""


class TransactionRules(Rules):
    """The rules of transaction.lark."""

    def begin(self) -> Begin:
        return Begin()

    def commit(self) -> Commit:
        return Commit()

    def rollback(self) -> Rollback:
        return Rollback()

"""Parameters of a request as values, by the types that its statement takes; those are kept by its text."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kalamdb.errors import ParametersWithBatch
from kalamdb.protocol import parameter_decoder
from kalamdb.sql.parser import split_statements

if TYPE_CHECKING:
    from kalamdb.session import Session

Decoder = Callable[[Any], Any] | None
_KEPT_MAX = 2_048
_KEPT_TEXT_CHARACTERS_MAX = 20_000


class Parameters:
    """Reads parameters. Safe for threads."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], tuple[object, object, list[Decoder]]] = {}

    def read(self, session: Session, sql: str, given: list[Any] | None) -> list[Any] | None:
        """The values that JSON's stand for. Raises ParametersWithBatch, InvalidSyntax, StatementTooLarge."""
        if not given:
            return given
        decoders = self._decoders(session, sql)
        if len(decoders) != len(given):
            return given  # the statement says how many it takes
        return [
            value if decode is None or value is None else decode(value)
            for value, decode in zip(given, decoders)
        ]

    def _decoders(self, session: Session, sql: str) -> list[Decoder]:
        catalog, rights = session.catalog, session.rights
        key = (sql, session.namespace)
        kept = self._kept.get(key)
        if kept is not None and kept[0] is catalog and kept[1] is rights:
            return kept[2]
        decoders = [parameter_decoder(of) for of in session.parameter_types(_alone(sql))]
        if len(sql) <= _KEPT_TEXT_CHARACTERS_MAX:
            if len(self._kept) >= _KEPT_MAX:
                self._kept.clear()
            self._kept[key] = (catalog, rights, decoders)
        return decoders


def _alone(sql: str) -> str:
    statements = split_statements(sql) if ";" in sql else [sql]
    if len(statements) > 1:
        raise ParametersWithBatch("parameters go with a single statement; send the statements one by one")
    return statements[0] if statements else ""

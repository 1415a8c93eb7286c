"""What one user may do: a role, and what was granted beside it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from kalamdb.auth.permissions import Action, Role

_NOTHING: Mapping[int, frozenset[Action]] = MappingProxyType({})


class Rights:
    """A role and `grants`: actions by the id of a SHARED table. Immutable.

    Equal only to itself: of users without grants there is one object a role, so that what was planned for one of them
    is found by all.
    """

    __slots__ = ("grants", "role")

    def __init__(self, role: Role, grants: Mapping[int, frozenset[Action]] = _NOTHING) -> None:
        self.role = role
        self.grants = grants

    def __repr__(self) -> str:
        return f"<Rights of role {self.role}, {len(self.grants)} grant(s)>"


BY_ROLE: Mapping[Role, Rights] = {role: Rights(role) for role in Role}
"""Of those to whom nothing is granted."""

"""Which database, and as whom: what the options, the environment and the preferences come to."""

from __future__ import annotations

import re
from dataclasses import dataclass

MEMORY = ":memory:"


@dataclass(frozen=True, slots=True)
class Target:
    """`place`: a directory, http(s)://… or `:memory:`. `user`, `token`, `namespace`: None where none was given."""

    place: str = MEMORY
    user: str | None = None
    token: str | None = None
    namespace: str | None = None
    read_only: bool = False
    must_exist: bool = False
    """Whether a directory that is not there is an error, and not the place of a new database."""

    @property
    def is_server(self) -> bool:
        """Whether it is reached over the network."""
        return re.match(r"https?://", self.place) is not None

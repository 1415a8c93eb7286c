"""What holds a secret, and shows it to nobody who did not ask for it by name."""

from __future__ import annotations

from typing import NoReturn


class Hidden:
    """Base of objects with a secret in them: `***` in every text, and refused by pickle and copy."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(***)"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{type(self).__name__} holds a secret and cannot be pickled")

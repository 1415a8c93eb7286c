"""What a user of the command prefers: `kalamdb/config.toml` below $XDG_CONFIG_HOME or ~/.config."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from kalamdb.errors import InvalidSetting


@dataclass(frozen=True, slots=True)
class Preferences:
    """What stands in the file, each by its name there. Flags and the environment win over it."""

    db: str | None = None
    """The database that commands mean which name none: a directory or a URL."""
    user: str | None = None
    """As whom."""
    namespace: str | None = None
    """What names without one mean."""
    format: str = "table"
    """How answers are written."""
    null: str = "NULL"
    """How NULL is shown in tables."""
    expanded: str = "auto"
    """Whether a row's cells stand one below the other: on, off, or auto (where the terminal is too narrow)."""
    timing: bool = True
    """Whether the time a statement took is told."""
    pager: str | None = None
    """The program that long answers go to; "" for none, $PAGER where it is not said."""
    history: bool = True
    """Whether statements are kept for the next time."""


def configuration_folder(environment: Mapping[str, str] | None = None) -> Path:
    """The folder of preferences, tokens and histories."""
    environment = os.environ if environment is None else environment
    base = environment.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "kalamdb"


def load_preferences() -> Preferences:
    """The preferences of this user; the defaults where there is no file. Raises InvalidSetting."""
    path = configuration_folder() / "config.toml"
    try:
        text = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return Preferences()
    except OSError as error:
        raise InvalidSetting(f"{path} cannot be read: {error.strerror}") from None
    # Most have no such file.
    import tomllib

    try:
        given = tomllib.loads(text.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidSetting(f"{path} is no TOML: {error}") from None
    known = {field.name: field.default for field in fields(Preferences)}
    for name, value in given.items():
        if name not in known:
            raise InvalidSetting(f"{path}: there is no preference {name}; there are {', '.join(known)}")
        wanted = bool if isinstance(known[name], bool) else str
        if not isinstance(value, wanted):
            raise InvalidSetting(
                f"{path}: {name} is {'true or false' if wanted is bool else 'a text'}, not {value!r}"
            )
    chosen = Preferences(**given)
    if chosen.expanded not in ("on", "off", "auto"):
        raise InvalidSetting(f'{path}: expanded is "on", "off" or "auto", not {chosen.expanded!r}')
    return chosen

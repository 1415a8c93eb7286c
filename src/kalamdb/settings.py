"""Settings of a database: what they are, what they mean, and where they come from.

A setting is given to `open` by name, by the environment as KALAM_<NAME>, or by a TOML file; the first of
these that names it wins, and what none of them names has its default.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from kalamdb.errors import InvalidSetting

KIB, MIB, GIB, TIB = 1 << 10, 1 << 20, 1 << 30, 1 << 40

_UNITS = {"": 1, "B": 1, "KIB": KIB, "KB": 1000, "MIB": MIB, "MB": 1000**2, "GIB": GIB, "GB": 1000**3}
_UNITS |= {"TIB": TIB, "TB": 1000**4}
_SIZE = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*")
_NONE_WORDS = frozenset({"", "none", "null"})

Check = Callable[[object], object]
"""Gives a setting's value for what was given, or raises ValueError that says what it can be."""


def _choice(*allowed: str, optional: bool = False) -> Check:
    words = " or ".join((*allowed, "none") if optional else allowed)

    def check(given: object) -> object:
        if optional and (given is None or (isinstance(given, str) and given.strip().lower() in _NONE_WORDS)):
            return None
        if isinstance(given, str) and given.strip().lower() in allowed:
            return given.strip().lower()
        raise ValueError(words)

    return check


def _whole(low: int, high: int) -> Check:
    def check(given: object) -> object:
        if isinstance(given, str) and re.fullmatch(r"\s*[+-]?[0-9]{1,18}\s*", given):
            given = int(given)
        if isinstance(given, int) and not isinstance(given, bool) and low <= given <= high:
            return int(given)
        raise ValueError(f"a whole number from {low} to {high}")

    return check


def _whole_or_none(low: int, high: int) -> Check:
    check_number = _whole(low, high)

    def check(given: object) -> object:
        if given is None or (isinstance(given, str) and given.strip().lower() in _NONE_WORDS):
            return None
        try:
            return check_number(given)
        except ValueError as error:
            raise ValueError(f"{error}, or none") from None

    return check


def _size(low: int, high: int = 1024 * TIB) -> Check:
    def check(given: object) -> object:
        size = given
        if isinstance(given, str) and (match := _SIZE.fullmatch(given)) and match[2].upper() in _UNITS:
            unit = _UNITS[match[2].upper()]
            size = int(float(match[1]) * unit) if "." in match[1] else int(match[1][:30]) * unit
        if isinstance(size, int) and not isinstance(size, bool) and low <= size <= high:
            return int(size)
        raise ValueError(f'a size from {format_size(low)} to {format_size(high)}, in bytes or as "64MiB"')

    return check


def _seconds(low: float, high: float, *, optional: bool = False) -> Check:
    words = f"a number of seconds from {low:g} to {high:g}" + (", or none" if optional else "")

    def check(given: object) -> object:
        if optional and (given is None or (isinstance(given, str) and given.strip().lower() in _NONE_WORDS)):
            return None
        if isinstance(given, str):
            try:
                given = float(given)
            except ValueError:
                raise ValueError(words) from None
        if isinstance(given, (int, float)) and not isinstance(given, bool) and low <= given <= high:
            return float(given)
        raise ValueError(words)

    return check


def _directories(given: object) -> object:
    """A tuple of absolute paths."""
    if given is None or (isinstance(given, str) and given.strip().lower() in _NONE_WORDS):
        return ()
    paths = given.split(os.pathsep) if isinstance(given, str) else given
    if isinstance(paths, (list, tuple)) and all(
        isinstance(path, (str, os.PathLike)) and os.path.isabs(path) and os.fspath(path).isprintable()
        for path in paths
    ):
        return tuple(os.path.normpath(path) for path in paths)
    raise ValueError(f'absolute paths of directories, as a list or joined by "{os.pathsep}", or none')


def _flag(given: object) -> object:
    words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if isinstance(given, str):
        given = words.get(given.strip().lower())
    if isinstance(given, bool):
        return given
    raise ValueError("true or false")


def _text(length_max: int) -> Check:
    def check(given: object) -> object:
        if (
            isinstance(given, str)
            and 0 < len(given) <= length_max
            and given.isprintable()
            and " " not in given
        ):
            return given
        raise ValueError(f"visible characters without spaces, up to {length_max} of them")

    return check


def _file(given: object) -> object:
    """An absolute path as text."""
    if given is None or (isinstance(given, str) and given.strip().lower() in _NONE_WORDS):
        return None
    if isinstance(given, (str, os.PathLike)) and os.path.isabs(given) and os.fspath(given).isprintable():
        return os.fspath(given)
    raise ValueError("the absolute path of a file, or none")


_LOOPBACK = r"http://(?:localhost|127\.0\.0\.1|\[::1\])"
_ISSUER = re.compile(
    rf"[^\s,]{{1,256}} (?:HS256 (?:env:[A-Za-z_][A-Za-z0-9_]*|file:/[^\s,]+)"
    rf"|(?:RS256|ES256|RS256\+ES256|ES256\+RS256) (?:https://[^\s,/@?#]+|{_LOOPBACK}(?::[0-9]{{1,5}})?)(?:/[^\s,#]*)?)"
)


def _issuers(given: object) -> object:
    """The entries joined by a comma, or None."""
    if given is None or (isinstance(given, str) and given.strip().lower() in _NONE_WORDS):
        return None
    entries = given.split(",") if isinstance(given, str) else given
    if isinstance(entries, (list, tuple)) and all(isinstance(entry, str) for entry in entries):
        entries = [" ".join(entry.split()) for entry in entries]
        names = [entry.partition(" ")[0] for entry in entries]
        if all(map(_ISSUER.fullmatch, entries)) and len(set(names)) == len(names):
            return ", ".join(entries) or None
    raise ValueError(
        'a list, or joined by commas, of "issuer RS256+ES256 https://…/jwks.json" and '
        '"issuer HS256 env:NAME" or "issuer HS256 file:/path", each issuer once; or none'
    )


_ORIGIN = re.compile(r"https?://[A-Za-z0-9.\-]+(?::[0-9]{1,5})?|https?://\[[0-9A-Fa-f:.]+\](?::[0-9]{1,5})?")


def _entries(given: object) -> list[str]:
    """What a setting lists, as a list or joined by commas; empty for none. Raises ValueError."""
    if given is None or (isinstance(given, str) and given.strip().lower() in _NONE_WORDS):
        return []
    entries = given.split(",") if isinstance(given, str) else given
    if not isinstance(entries, (list, tuple)) or not all(isinstance(entry, str) for entry in entries):
        raise ValueError
    return [entry.strip() for entry in entries]


def _origins(given: object) -> object:
    """Origins joined by commas, or None."""
    with contextlib.suppress(ValueError):
        entries = _entries(given)
        if entries == ["*"] or all(map(_ORIGIN.fullmatch, entries)):
            return ", ".join(entries).lower() or None
    raise ValueError('a list, or joined by commas, of origins as "https://app.example"; or "*", or none')


def _networks(given: object) -> object:
    """Addresses and networks joined by commas, or None."""
    import ipaddress  # only where somebody gives this setting

    with contextlib.suppress(ValueError):
        return ", ".join(str(ipaddress.ip_network(entry)) for entry in _entries(given)) or None
    raise ValueError('a list, or joined by commas, of addresses and networks as "10.0.0.0/8"; or none')


def format_size(size: int) -> str:
    """A number of bytes in the largest binary unit that divides it: `64MiB`, `1000`."""
    for unit, name in ((TIB, "TiB"), (GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if size and size % unit == 0:
            return f"{size // unit}{name}"
    return str(size)


def _setting(default: Any, check: Check, description: str, *, quoted: bool = True) -> Any:
    """`quoted`: whether a refusal shows what was given; not where somebody may give a secret by mistake."""
    return dataclasses.field(
        default=default, metadata={"check": check, "description": description, "quoted": quoted}
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting. Names end in their unit. Raises InvalidSetting for a value that a setting cannot have."""

    durability: str = _setting(
        "full",
        _choice("full", "normal"),
        "when a commit is acknowledged: full = on the disk, normal = with the operating system",
    )
    wal_file_bytes: int = _setting(64 * MIB, _size(64 * KIB, 4 * GIB), "size of one file of the log")
    wal_sync_interval_ms: int = _setting(
        100, _whole(1, 60_000), "with durability normal, the disk follows within this time"
    )
    memtable_bytes: int = _setting(
        64 * MIB, _size(512), "recent rows in memory; beyond it they are written to hot segments"
    )
    hot_cache_bytes: int = _setting(
        64 * MIB, _size(0), "memory for indexes and recent blocks of hot segments"
    )
    change_retention_h: int = _setting(
        24, _whole(0, 87_600), "how long changes are kept for subscriptions that resume"
    )
    change_retention_bytes: int = _setting(
        GIB, _size(0), "bytes of changes kept for subscriptions that resume; none of a database in memory"
    )
    subscription_buffer_bytes: int = _setting(
        16 * MIB,
        _size(0),
        "changes that may wait for one subscription; one that lags further behind is ended",
    )
    subscriptions_per_user: int = _setting(
        1000, _whole(0, 1_000_000), "live queries that one user may have open at once"
    )
    transaction_timeout_s: float = _setting(
        60.0, _seconds(0.001, 86_400), "a transaction idle for longer is rolled back"
    )
    hot_budget_bytes: int = _setting(
        4 * GIB, _size(MIB), "hot segments beyond it are flushed to cold ones, largest partitions first"
    )
    cache_bytes: int = _setting(64 * MIB, _size(0), "memory for decoded cold segments")
    memory_limit_bytes: int = _setting(
        256 * MIB,
        _size(16 * MIB),
        "memory of memtables, caches and queries together; queries have a quarter of it at least",
    )
    stream_memory_bytes: int = _setting(
        64 * MIB, _size(64 * KIB), "memory for rows of STREAM tables; beyond it the oldest go"
    )
    worker_id: int = _setting(
        0, _whole(0, 1023), "this database's part of its Snowflake ids; differs between nodes"
    )
    statement_timeout_s: float | None = _setting(
        None,
        _seconds(0.001, 86_400, optional=True),
        "a longer statement is cancelled; none = no limit, over HTTP 30 seconds",
    )
    deleted_retention_h: int = _setting(
        168, _whole(0, 876_000), "how long deleted rows can be read back, where a table does not say"
    )
    storage_roots: tuple[str, ...] = _setting(
        (),
        _directories,
        "filesystem storages outside of the database directory must lie in one of these; none = anywhere",
    )
    job_retention_d: int = _setting(30, _whole(1, 36_500), "how long finished jobs are shown")
    audit_retention_d: int = _setting(90, _whole(1, 36_500), "how long the audit log is kept")
    user_retention_d: int = _setting(
        30, _whole(1, 36_500), "how long a dropped user can be brought back; then the user's rows are erased"
    )
    jwt_issuer: str = _setting(
        "kalamdb", _text(256), "who signs: the claim iss of this database's access tokens"
    )
    jwt_audience: str = _setting(
        "kalamdb", _text(256), "for whom: the claim aud that access tokens must have"
    )
    jwt_key_file: str | None = _setting(
        None, _file, "private key in PEM: RSA signs access tokens by RS256, P-256 by ES256; none = HS256"
    )
    access_token_ttl_s: int = _setting(3600, _whole(1, 86_400), "how long an access token is good")
    refresh_token_ttl_d: int = _setting(
        30, _whole(1, 3650), "how long a refresh token is good that nobody uses"
    )
    trusted_issuers: str | None = _setting(
        None,
        _issuers,
        "who else may sign access tokens, by which algorithms, and where the keys are",
        quoted=False,
    )
    create_foreign_users: bool = _setting(
        False, _flag, "make a user, of role user, at the first token of a trusted issuer that names one"
    )
    request_bytes_max: int = _setting(
        MIB, _size(KIB, GIB), "size of a request's body, before and after gzip; a larger one is answered 413"
    )
    request_timeout_s: float = _setting(
        30.0,
        _seconds(0.001, 3600),
        "how long a request's body, or a client's taking of an answer's piece, may last",
    )
    request_headers_max: int = _setting(100, _whole(10, 10_000), "how many headers a request may have")
    request_headers_bytes_max: int = _setting(
        64 * KIB, _size(KIB, 16 * MIB), "size of a request's headers and query together"
    )
    result_bytes_max: int = _setting(
        64 * MIB,
        _size(KIB),
        "size of the rows that one request may be answered over HTTP; what is read while it is sent, in Arrow, may be "
        "more",
    )
    user_requests_per_s_max: int | None = _setting(
        1000, _whole_or_none(1, 1_000_000), "requests a second of each user; none = no limit"
    )
    statements_running_max: int = _setting(
        16,
        _whole(1, 1024),
        "statements of a server's clients at work at a time; the others wait in turns by user",
    )
    user_statements_running_max: int = _setting(8, _whole(1, 1024), "how many of them may be one user's")
    statements_waiting_max: int = _setting(
        1024,
        _whole(1, 1_000_000),
        "statements that may wait, a quarter of them one user's; more are answered 429",
    )
    cors_origins: str | None = _setting(
        None, _origins, "pages of which origins may read answers; none = of no other"
    )
    trusted_proxies: str | None = _setting(
        None, _networks, "proxies whose X-Forwarded-For is believed; none = nobody's"
    )
    server_host: str = _setting(
        "127.0.0.1",
        _text(255),
        "the address that `kalam serve` listens to; 0.0.0.0 or :: for all of the machine's",
    )
    server_port: int = _setting(8080, _whole(0, 65_535), "the port that it listens to; 0 = a free one")
    tls_certificate_file: str | None = _setting(
        None, _file, "certificates in PEM, the server's own first: then it speaks TLS, and nothing else"
    )
    tls_key_file: str | None = _setting(None, _file, "the certificate's private key in PEM")
    drain_timeout_s: float = _setting(
        2.5,
        _seconds(0.0, 3600),
        "how long a server that is told to end lets statements run; a second or two more, and it has ended",
    )
    log_level: str = _setting(
        "info",
        _choice("info", "warning", "error"),
        "what `kalam serve` writes to standard error: info = every request",
    )
    metrics: str = _setting(
        "off",
        _choice("off", "open", "token"),
        "who reads /metrics of a server: nobody, everybody, or who has the metrics token or the role service and above",
    )
    websocket_connections_max: int = _setting(
        20_000, _whole(1, 1_000_000), "WebSockets that may be open; one more is closed with 1013"
    )
    websocket_subscriptions_max: int = _setting(
        100, _whole(1, 1_000_000), "subscriptions of one WebSocket; see subscriptions_per_user"
    )
    websocket_messages_per_s_max: int | None = _setting(
        50, _whole_or_none(1, 1_000_000), "messages a second from one WebSocket; none = no limit"
    )
    websocket_message_bytes_max: int = _setting(
        MIB, _size(KIB, GIB), "size of a message from a WebSocket, before and after gzip"
    )
    websocket_queue_bytes: int = _setting(
        4 * MIB,
        _size(64 * KIB, GIB),
        "what may wait for a WebSocket whose client does not take it; one with more is closed with 1013",
    )
    websocket_authentication_timeout_s: float = _setting(
        3.0, _seconds(0.001, 3600), "how long a WebSocket may take to say who it is"
    )
    websocket_batch_timeout_s: float = _setting(
        60.0, _seconds(0.001, 86_400), "a subscription whose next batch nobody asks for in this time is ended"
    )
    websocket_ping_s: float = _setting(
        20.0,
        _seconds(0.1, 86_400),
        "how often a WebSocket is pinged; one that does not answer as long is closed",
    )
    compat: str | None = _setting(
        None, _choice("kalamdb-0.4", optional=True), "compatibility profile: kalamdb-0.4 or none"
    )

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            given = getattr(self, field.name)
            try:
                value = field.metadata["check"](given)
            except ValueError as error:
                shown_given = f'"{given}"' if field.metadata["quoted"] else "what was given"
                raise InvalidSetting(
                    f"setting {field.name} cannot be {shown_given}; it can be {error}"
                ) from None
            object.__setattr__(self, field.name, value)

    @property
    def query_memory_bytes(self) -> int:
        """What queries may sort, join and group in, all of them together: what a memtable and the caches leave of
        `memory_limit_bytes`, and a quarter of it at least."""
        others = self.memtable_bytes + self.hot_cache_bytes + self.cache_bytes
        return max(self.memory_limit_bytes - others, self.memory_limit_bytes // 4)

    def with_overrides(self, overrides: Mapping[str, object]) -> Settings:
        """These, with single settings by name in their place. Raises InvalidSetting."""
        return Settings(**{**dataclasses.asdict(self), **_known(overrides)})

    def described(self) -> list[SettingRow]:
        """Every setting with its value as text, in the order of the documentation."""
        return [
            SettingRow(
                name=field.name,
                value=shown(getattr(self, field.name)),
                default_value=shown(field.default),
                description=field.metadata["description"],
            )
            for field in dataclasses.fields(self)
        ]


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One row of `system.settings`."""

    name: str
    value: str
    default_value: str
    description: str


def shown(value: object) -> str:
    """A setting's value as text that can be given back: sizes in bytes, `none` for None."""
    if value is None or value == ():
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return os.pathsep.join(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


NAMES: tuple[str, ...] = tuple(field.name for field in dataclasses.fields(Settings))


class Source(StrEnum):
    """Where a setting's value comes from; of two, the later one here wins."""

    DEFAULT = "default"
    FILE = "file"
    ENVIRONMENT = "environment"
    GIVEN = "given"


def load_settings(
    file: str | os.PathLike[str] | None = None,
    environment: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
) -> Settings:
    """The settings of a TOML file (names at its top level), of the environment (default: the process's), of
    `overrides`.

    Later ones win. A name that does not exist is refused in file and overrides; in the environment other
    programs have their say too, so there it is passed over. Raises InvalidSetting.
    """
    return settings_and_sources(file, environment, overrides)[0]


def settings_and_sources(
    file: str | os.PathLike[str] | None = None,
    environment: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
) -> tuple[Settings, dict[str, Source]]:
    """The same, and where each setting comes from, by name. Raises as load_settings."""
    environment = os.environ if environment is None else environment
    layers: list[tuple[Source, dict[str, Any]]] = [
        (Source.FILE, {} if file is None else _known(_read_file(Path(file)))),
        (
            Source.ENVIRONMENT,
            {name: environment[key] for name in NAMES if (key := f"KALAM_{name.upper()}") in environment},
        ),
        (Source.GIVEN, _known(overrides or {})),
    ]
    given: dict[str, Any] = {}
    sources = dict.fromkeys(NAMES, Source.DEFAULT)
    for source, values in layers:
        given |= values
        sources |= dict.fromkeys(values, source)
    return Settings(**given), sources


def _read_file(path: Path) -> dict[str, object]:
    # Most settings come from no file.
    import tomllib

    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise InvalidSetting(f"the settings file {path.name} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidSetting(f"the settings file {path.name} is no TOML: {error}") from None


def _known(given: Mapping[str, object]) -> dict[str, Any]:
    for name in given:
        if name not in NAMES:
            near = difflib.get_close_matches(str(name), NAMES, n=1)
            hint = f"did you mean {near[0]}?" if near else f"settings are {', '.join(NAMES)}"
            raise InvalidSetting(f'setting "{name}" does not exist; {hint}')
    return dict(given)

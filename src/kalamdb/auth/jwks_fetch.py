"""Getting the keys of a foreign issuer over the network: by https, bounded in time and size, from where it was told."""

from __future__ import annotations

import ipaddress
import time
from urllib.parse import urlsplit

from kalamdb.errors import InvalidSetting, IssuerUnavailable

TIMEOUT_S = 5.0
BYTES_MAX = 256 * 1024
_CHUNK_BYTES = 16 * 1024


def check_url(url: str) -> None:
    """Raises InvalidSetting unless it is https, or http to this machine, without a user in it."""
    parts = urlsplit(url)
    if parts.username is not None or parts.password is not None or not parts.hostname:
        raise InvalidSetting("the URL of an issuer's keys is https://host/…, without user and password")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts.hostname)):
        raise InvalidSetting("the URL of an issuer's keys is https; http is for this machine alone")


def fetch(url: str) -> bytes:
    """What is at the URL, up to 256 KiB, within 5 seconds. Redirections are not followed. Raises IssuerUnavailable."""
    import http.client
    import urllib.error
    import urllib.request

    class NoRedirection(urllib.request.HTTPRedirectHandler):
        """A redirection would lead to where nobody said that keys are, or to http."""

        def redirect_request(self, *_: object, **__: object) -> None:
            return None

    deadline = time.monotonic() + TIMEOUT_S
    request = urllib.request.Request(url, headers={"Accept": "application/json", "User-Agent": "kalamdb"})
    try:
        with urllib.request.build_opener(NoRedirection).open(request, timeout=TIMEOUT_S) as answer:
            taken = bytearray()
            # read1 gives what is there: a server that sends a byte a second does not hold us beyond the deadline.
            while chunk := answer.read1(_CHUNK_BYTES):
                taken += chunk
                if len(taken) > BYTES_MAX or time.monotonic() > deadline:
                    raise IssuerUnavailable("the issuer's keys are too large, or came too slowly")
            return bytes(taken)
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError):
        # Without the cause, whose text has addresses in it.
        raise IssuerUnavailable("the issuer's keys could not be fetched; try again later") from None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

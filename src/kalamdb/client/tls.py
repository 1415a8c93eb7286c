"""What TLS options come to: one context, for requests and live queries."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kalamdb.errors import InterfaceError

if TYPE_CHECKING:
    import ssl

Path = str | os.PathLike[str]


def tls_context(
    *, ca_file: Path | None, certificate_file: Path | None, key_file: Path | None, verify: bool
) -> ssl.SSLContext:
    """`ca_file`: whose certificates are trusted, in PEM, instead of the system's. `certificate_file`, `key_file`: the
    client's own. `verify`: whether the server must prove who it is. Raises InterfaceError."""
    import ssl

    try:
        context = ssl.create_default_context(cafile=None if ca_file is None else os.fspath(ca_file))
        if certificate_file is not None:
            context.load_cert_chain(certificate_file, key_file)
    except (OSError, ssl.SSLError) as error:
        raise InterfaceError(f"the files for TLS cannot be used: {error}") from error
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context

"""`kalam serve`: a directory over HTTP."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kalamdb.cli.choosing import choosing_settings
from kalamdb.errors import NotSupportedError
from kalamdb.settings import load_settings

if TYPE_CHECKING:
    from kalamdb.server.serving import Started


@click.command()
@click.argument("directory", type=click.Path(file_okay=False))
@click.option("--host", help="The address to listen to (127.0.0.1).")
@click.option("--port", type=int, help="The port (8080); 0 for a free one.")
@click.option(
    "--tls-certificate", type=click.Path(dir_okay=False), help="Certificates in PEM; then TLS alone."
)
@click.option("--tls-key", type=click.Path(dir_okay=False), help="The certificate's private key in PEM.")
@click.option("--compat", help="A compatibility profile: kalamdb-0.4.")
@choosing_settings
def serve(
    directory: str,
    host: str | None,
    port: int | None,
    tls_certificate: str | None,
    tls_key: str | None,
    compat: str | None,
    config: str | None,
    chosen: dict[str, str],
) -> None:
    """Serve the database in DIRECTORY over HTTP, making it where it is not there.

    SIGTERM and Ctrl-C end it: what runs may finish, nothing that was told is lost.
    """
    try:
        from kalamdb.server import serving
    except ModuleNotFoundError as error:
        raise NotSupportedError(
            f"a server needs {error.name}; install it with: pip install kalamdb[server]"
        ) from None
    flags = {
        "server_host": host,
        "server_port": port,
        "tls_certificate_file": tls_certificate and str(Path(tls_certificate).absolute()),
        "tls_key_file": tls_key and str(Path(tls_key).absolute()),
        "compat": compat,
    }
    given = chosen | {name: value for name, value in flags.items() if value is not None}
    settings = load_settings(config, os.environ, given)
    ended = serving.serve(directory, settings, _announce)
    sys.stdout.flush()
    sys.stderr.flush()
    if not ended:
        # A statement that cannot be stopped must not keep the process: its thread ends with it, and so does its work.
        os._exit(0)


def _announce(started: Started) -> None:
    click.echo(f"kalamdb serves at {started.url}")
    if not started.needs_setup:
        return
    if started.near:
        click.echo(
            "Nobody can log in yet. Give root its password, and make a user of role dba, from this machine:\n"
            f"  curl {started.url}/v1/api/auth/setup -H 'Content-Type: application/json' \\\n"
            '    -d \'{"user": "…", "password": "…", "root_password": "…"}\''
        )
    else:
        click.echo(
            "Nobody can log in yet, and not from elsewhere: serve it once with --host 127.0.0.1, and give root its "
            "password from this machine."
        )

"""`kalam login` and `kalam logout`: a server's tokens, kept for the commands that come."""

from __future__ import annotations

import click

from kalamdb.cli.connection import Target


@click.command()
@click.argument("url")
@click.option("--user", "-u", prompt="User", envvar="KALAM_USER", help="As whom.")
def login(url: str, user: str) -> None:
    """Log in to the server at URL, and keep its tokens, so that commands need no password.

    The password is asked for, or KALAM_PASSWORD.
    """
    from kalamdb.cli.connection.server import password
    from kalamdb.cli.token_file import log_in, tokens_path

    log_in(url, user, password(Target(url, user=user)))
    click.echo(f"logged in to {url} as {user}; tokens are in {tokens_path()}", err=True)


@click.command()
@click.argument("url")
def logout(url: str) -> None:
    """Forget the tokens of the server at URL, and have the server forget them."""
    from kalamdb.cli.token_file import log_out

    said = f"logged out of {url}" if log_out(url) else f"there was no log-in to {url}"
    click.echo(said, err=True)

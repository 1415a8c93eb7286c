"""`kalam users`: who there is, by the statements of SQL."""

from __future__ import annotations

import sys

import click

from kalamdb.cli.choosing_database import choosing_database
from kalamdb.cli.connection import Target, open_connection
from kalamdb.cli.output import FORMATS, Look

ROLES = ("user", "service", "dba", "system")


@click.group()
def users() -> None:
    """List users, make them, change their passwords and roles."""


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _name(value: str) -> str:
    return '"' + value.replace('"', '""') + '"'


def _run(target: Target, sql: str, said: str) -> None:
    connection = open_connection(target)
    try:
        connection.execute(sql)
    finally:
        connection.close()
    click.echo(said, err=True)


def _new_password(user: str) -> str:
    """From the person, twice, or the first line of standard input."""
    if sys.stdin.isatty():
        return str(
            click.prompt(f"New password of {user}", hide_input=True, confirmation_prompt=True, err=True)
        )
    return sys.stdin.readline().rstrip("\r\n")


@users.command(name="list")
@click.option(
    "--format", "form", type=click.Choice(["table", "csv", "json", "ndjson", "markdown"]), default="table"
)
@choosing_database
def list_users(form: str, target: Target) -> None:
    """Who there is."""
    connection = open_connection(target)
    try:
        answer = connection.execute("SHOW USERS")[-1]
        for piece in FORMATS[form].pieces(answer, Look(expanded="off")):
            click.echo(piece, nl=False)
    finally:
        connection.close()


@users.command()
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), default="user")
@click.option("--email")
@click.option("--no-password", is_flag=True, help="Somebody who cannot log in.")
@choosing_database
def create(name: str, role: str, email: str | None, no_password: bool, target: Target) -> None:
    """Make a user. The password is asked for, or is the first line of standard input."""
    sql = f"CREATE USER {_name(name)} WITH"
    if not no_password:
        sql += f" PASSWORD {_text(_new_password(name))}"
    sql += f" ROLE {role}" + (f" EMAIL {_text(email)}" if email else "")
    _run(target, sql, f"user {name} was made, role {role}")


@users.command()
@click.argument("name")
@choosing_database
def password(name: str, target: Target) -> None:
    """Give a user another password, which is asked for, or is the first line of standard input."""
    _run(
        target,
        f"ALTER USER {_name(name)} SET PASSWORD {_text(_new_password(name))}",
        f"{name} has another password",
    )


@users.command()
@click.argument("name")
@click.argument("role", type=click.Choice(ROLES))
@choosing_database
def role(name: str, role: str, target: Target) -> None:
    """Give a user another role."""
    _run(target, f"ALTER USER {_name(name)} SET ROLE {role}", f"{name} has role {role}")


@users.command()
@click.argument("name")
@choosing_database
def drop(name: str, target: Target) -> None:
    """Delete a user; for some days `restore` brings the user back."""
    _run(target, f"DROP USER {_name(name)}", f"{name} was dropped")


@users.command()
@click.argument("name")
@choosing_database
def restore(name: str, target: Target) -> None:
    """Bring back a user who was dropped."""
    _run(
        target, f"UPDATE system.users SET deleted_at = NULL WHERE user_id = {_text(name)}", f"{name} is back"
    )

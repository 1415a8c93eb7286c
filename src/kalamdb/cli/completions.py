"""`kalam completions`: what a shell of the system needs to complete this command's words."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completions(shell: str) -> None:
    """Write what SHELL runs to complete the words of kalam: eval "$(kalam completions bash)" in ~/.bashrc."""
    found = get_completion_class(shell)
    assert found is not None
    root = click.get_current_context().find_root().command
    click.echo(found(root, {}, "kalam", "_KALAM_COMPLETE").source())

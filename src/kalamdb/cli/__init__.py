"""The command `kalam`. Needs the extra `kalamdb[cli]`, which `kalamdb[server]` has in it."""

from kalamdb.cli.entry import main

__all__ = ["main"]

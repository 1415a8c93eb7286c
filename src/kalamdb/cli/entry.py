"""Where `kalam` and `python -m kalamdb` begin: what is missing is said before anything else."""

from __future__ import annotations

import sys

USAGE_ERROR = 2


def main() -> None:
    """Run the command of this process's arguments, and end with its exit status."""
    try:
        from kalamdb.cli.kalam import kalam
    except ModuleNotFoundError as error:
        print(f"kalam needs {error.name}; install it with: pip install kalamdb[cli]", file=sys.stderr)
        sys.exit(USAGE_ERROR)
    from kalamdb.cli.without_pandas import do_without_pandas

    do_without_pandas()
    kalam(prog_name="kalam")

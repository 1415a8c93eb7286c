"""Jobs that a statement began: waited for, and how far they are told where a person sees it.

A directory is closed when the shell ends, and a job that is not done would end with it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from kalamdb.cli.progress import Progress
from kalamdb.errors import OperationalError

if TYPE_CHECKING:
    from kalamdb.cli.connection import Answer, Connection
    from kalamdb.cli.sql.shell import Shell

LOOK_EVERY_S = 0.05
ENDED = frozenset({"completed", "failed", "cancelled"})


def wait_for_jobs(shell: Shell, answer: Answer) -> None:
    """Wait for the jobs of an answer. Ctrl-C leaves those of a server to themselves. Raises OperationalError."""
    # Its rows were fetched when it was shown; as Arrow they can be had again.
    wait_for(shell.connection, answer.arrow().column("job_id").to_pylist())


def wait_for(connection: Connection, ids: list[str]) -> None:
    """Wait for the jobs of these ids. Raises OperationalError where one failed."""
    if not ids:
        return
    beside = connection.beside()
    listed = ", ".join("'" + one.replace("'", "''") + "'" for one in ids)
    sql = f"SELECT job_type, status, rows, bytes, error FROM system.jobs WHERE job_id IN ({listed})"
    try:
        with Progress() as progress:
            while True:
                rows = beside.execute(sql)[0].fetchall()
                done = [row for row in rows if row[1] in ENDED]
                rows_done, bytes_done = (sum(row[place] or 0 for row in rows) for place in (2, 3))
                if rows:
                    progress.tell(
                        f"{rows[0][0]}: {len(done)} of {len(ids)}, {rows_done:,} rows, {bytes_done:,} bytes"
                    )
                if len(done) == len(rows):
                    break
                time.sleep(LOOK_EVERY_S)
        for job_type, status, *_, error in rows:
            if status != "completed":
                raise OperationalError(f"{job_type} {status}: {error or 'somebody ended it'}")
    finally:
        beside.close()

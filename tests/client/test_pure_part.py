"""The client where only Python files are: no native core, no Arrow, no query engine, no parser, no orjson."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import kalamdb
from tests.server.serving import Served, token_of

PROGRAM = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"kalamcore", "pyarrow", "datafusion", "lark", "numpy", "orjson", "httpx"}:
            raise ImportError(name + " is not here")

sys.meta_path.insert(0, Missing())
import kalamdb
from kalamdb.client import Client
from kalamdb.errors import UniqueViolation

with Client(sys.argv[1], token=sys.argv[2], namespace="app") as client:
    client.insert("notes", [{"id": 1, "body": "hello"}])
    print(client.execute("SELECT * FROM notes WHERE id = ?", [1]).fetchall())
    with client.subscribe("SELECT * FROM notes") as events:
        print(next(events).rows[0]["body"])
    try:
        client.execute("INSERT INTO notes (id) VALUES (1)")
    except UniqueViolation as error:
        print(error.code, error.request_id is not None)
print(sorted(name for name in ("kalamdb.session", "kalamdb.engine", "kalamdb.types") if name in sys.modules))
"""


def test_a_client_needs_python_files_alone(clean: Served, tmp_path: Path) -> None:
    source = Path(kalamdb.__file__ or "").parent
    shutil.copytree(source, tmp_path / "kalamdb", ignore=shutil.ignore_patterns("__pycache__"))
    websockets = importlib.util.find_spec("websockets")
    assert websockets is not None
    assert websockets.origin is not None
    shutil.copytree(Path(websockets.origin).parent, tmp_path / "websockets")

    done = subprocess.run(
        [sys.executable, "-S", "-c", PROGRAM, clean.url, token_of(clean.db, "ann")],
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "[(1, 'hello', None)]",
        "hello",
        "UNIQUE_VIOLATION True",
        "['kalamdb.types']",
    ]

"""What is nested without end kills nobody, however small the stack of the thread is that reads it."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import threading

from kalamdb.server.websocket.client_frames import Protocol
from kalamdb.server.websocket.encoding import ENCODINGS

met = []


def read(serialization, message):
    try:
        ENCODINGS[Protocol(serialization, "none")].read(message, 1 << 24)
    except Exception as error:
        met.append(type(error).__name__)


threading.stack_size(256 * 1024)
for opening in ("[", '{"type":', '{"type":"ping","x":['):
    for depth in (101, 900, 100_000):
        work = threading.Thread(target=read, args=("json", {"text": opening * depth}))
        work.start()
        work.join()
for opening in (b"\\x91", b"\\x81\\xa1x"):
    for depth in (101, 900, 100_000):
        work = threading.Thread(target=read, args=("msgpack", {"bytes": opening * depth}))
        work.start()
        work.join()
print(sorted(set(met)), len(met))
"""


def test_a_thread_with_a_small_stack_refuses_deep_messages() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120, check=False
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "['InvalidMessage'] 15"


@pytest.mark.parametrize("depth", [100, 101])
def test_a_body_may_be_as_deep_as_sql(depth: int) -> None:
    from kalamcore.nesting import is_json_deeper
    from kalamdb.server.nesting import DEPTH_MAX

    assert is_json_deeper(b"[" * depth + b"]" * depth, DEPTH_MAX) == (depth > DEPTH_MAX)

"""Lets Atheris choose the bytes: `python -m tests.fuzz [NAME …]`, KALAM_FUZZ_SECONDS (60) for each fuzzer.

Atheris watches which Python code the bytes reach, and keeps what reaches more in build/fuzz. It ends the process that
runs it, so each fuzzer has one of its own; a hang of more than ten seconds is a fault too.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

from tests.fuzz.mutation import CORPUS

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / "build" / "fuzz"
NAMES = ("scanner", "grammar", "log_reader", "rows", "manifest")
SECONDS = int(os.environ.get("KALAM_FUZZ_SECONDS", "60"))


def main(names: list[str]) -> int:
    failures = []
    for name in names:
        (KEPT / name).mkdir(parents=True, exist_ok=True)
        words = KEPT / f"{name}.dict"
        started = time.monotonic()
        command = [
            sys.executable, "-m", "tests.fuzz", "--one", name, str(words), KEPT / name, CORPUS / name,
            f"-max_total_time={SECONDS}", "-timeout=10", "-max_len=4096", "-rss_limit_mb=4096", f"-dict={words}",
            f"-artifact_prefix={KEPT}/{name}-", "-print_final_stats=1",
        ]  # fmt: skip
        result = subprocess.run(
            command, cwd=ROOT, check=False, text=True, errors="replace", capture_output=True
        )
        runs = re.search(r"number_of_executed_units:\s+(\d+)", result.stderr)
        print(
            f"fuzz: {name}: {'ok' if result.returncode == 0 else 'FAILED'}, {runs[1] if runs else '?'} inputs in "
            f"{time.monotonic() - started:.0f} s",
            flush=True,
        )
        if result.returncode:
            failures.append(name)
            print(result.stdout[-3000:], result.stderr[-6000:], sep="\n", file=sys.stderr)
    return 1 if failures else 0


def one(name: str, words: Path, arguments: list[str]) -> None:
    """This process is the fuzzer from here on."""
    import atheris

    with atheris.instrument_imports(include=["kalamdb"], enable_loader_override=False):
        import importlib

        fuzzer = importlib.import_module(f"tests.fuzz.fuzz_{name}")
    escaped = ("".join(f"\\x{byte:02x}" for byte in word) for word in fuzzer.WORDS)
    words.write_text("".join(f'"{word}"\n' for word in escaped))
    atheris.Setup([sys.argv[0], *arguments], fuzzer.run)
    atheris.Fuzz()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        one(sys.argv[2], Path(sys.argv[3]), sys.argv[4:])
    else:
        sys.exit(main(sys.argv[1:] or list(NAMES)))

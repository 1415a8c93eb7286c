"""`python -m tests.third_party.convert DIRECTORY`: writes tests/third_party/sqlite/*.slt anew.

DIRECTORY is `test` of SQLite's source: `apt-get source sqlite3` of Debian 12 unpacks version 3.40.1. Each file is read
in a process of its own, which ends after some minutes whatever the file does. Needs Python with Tcl (tkinter).
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.third_party.rules import RULES, rule_of_text
from tests.third_party.script_writer import Script, writable
from tests.third_party.sqlite_tests import Asked, Reader
from tests.third_party.twin import verdict

HERE = Path(__file__).resolve().parent
SCRIPTS = HERE / "sqlite"
QUERIES_MAX = 400
"""Of one file."""
BYTES_MAX = 60_000
"""Of one script."""
SECONDS_MAX = 300
MEMORY_MAX = 2 << 30

NOT_READ = re.compile(
    r"alter|analyze|async|attach|auth\d?\.|autovac|avtrans|backup|bestindex|bigfile|bigrow|blob|busy|cache|capi|carray|changes|chunk|"
    r"close\.|closure|collate|conflict|corrupt|crash|csv|cursorhint|date|db|decimal|delete_|diskfull|e_(?!expr|select)|enc|exclusive|"
    r"external|extra|fallocate|fault|fkey|format4|fts|full\.|fuzz|hook|icu|ieee|imposter|incr|init|io\.|ioerr|journal|jrnl|json|"
    r"keyword|lastinsert|laststmt|loadext|lock|lookaside|main\.|malloc|many|mem|misuse|mmap|multiplex|mutex|notify|openv2|oserror|"
    r"ovfl|pager?|pcache|permut|pragma|printf|progress|ptrchng|quick|quota|rbu|rdonly|recover|regexp|reindex|resetdb|rollback|rowallock|"
    r"rtree|savepoint|scanstatus|schema|securedel|server|session|shared|shell|shm|shortread|shrink|sidedelete|snapshot|soak|softheap|"
    r"speed|spellfix|sqldiff|sqllimits|sqllog|stat|stmt|subjournal|superlock|swarm|types\.|symlink|sync|sys|tclsqlite|temp|thread|tkt2409|"
    r"tokenize|trace|trans\d|trans\.|trigger|unionvtab|unixexcl|uri|userauth|utf16|vacuum|varint|veryquick|vtab|wal|win32|writecrash|"
    r"zeroblob|zerodamage|zip|8_3|all\.|index2\.|misc7|test_"
)
"""Files that are of SQLite's files, pages, locks, faults, modules, its C interface and its schema, not of what queries
answer."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.third_party.convert")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--one", help="one file, in this process")
    given = parser.parse_args()
    if given.one:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX, MEMORY_MAX))
        path = (given.directory / given.one).resolve()
        with tempfile.TemporaryDirectory(prefix="test-") as directory:
            # Some leave files where they run.
            os.chdir(directory)
            _convert(path)
        return 0
    SCRIPTS.mkdir(exist_ok=True)
    for old in SCRIPTS.glob("*.slt"):
        old.unlink()
    totals: Counter[str] = Counter()
    for path in sorted(given.directory.glob("*.test")):
        if NOT_READ.search(path.name):
            continue
        command = [sys.executable, "-m", __spec__.name, str(given.directory), "--one", path.name]
        try:
            told = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_MAX, check=False)
        except subprocess.TimeoutExpired:
            print(f"{path.name}: it does not end", flush=True)
            continue
        lines = told.stdout.splitlines()
        counts = {name: int(count) for name, count in (line.split() for line in lines if line)}
        print(f"{path.name}: {counts or told.stderr[-200:]}", flush=True)
        totals.update(counts)
    for name, count in totals.most_common():
        print(f"| `{name}` | {count:,} | {RULES.get(name, '')} |")
    return 0


def _convert(path: Path) -> None:
    """Writes the script of a test file, and prints how many queries came to what."""
    counts: Counter[str] = Counter()
    kept: list[tuple[Asked, bool]] = []
    seen = set()
    for asked in Reader().read(path):
        key = (asked.sql, asked.rows, asked.tables, asked.views)
        rule, ordered = ("same", False) if key in seen else (rule_of_text(asked) or writable(asked), False)
        seen.add(key)
        if not rule:
            rule, ordered = verdict(asked)
        if rule:
            counts[rule] += 1
        else:
            kept.append((asked, ordered))
    step = max(1, -(-len(kept) // QUERIES_MAX))
    while kept:
        script = _script(path, kept[::step])
        if len(script) <= BYTES_MAX or step >= len(kept):
            (SCRIPTS / f"{path.stem}.slt").write_text(script, encoding="utf-8")
            break
        step += 1
    counts["taken"] = len(kept[::step])
    counts["sampled"] = len(kept) - counts["taken"]
    for name, count in counts.items():
        print(name, count)


def _script(path: Path, queries: list[tuple[Asked, bool]]) -> str:
    script = Script(
        [
            f"# Queries of test/{path.name} of SQLite 3.40.1, which is in the public domain, and their answers there.",
            "# Made by tests/third_party/convert.py; its README.md says how.",
            "",
        ]
    )
    for asked, ordered in queries:
        script.ask(asked, ordered)
    return script.text()


if __name__ == "__main__":
    sys.exit(main())

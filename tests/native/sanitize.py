"""The core under AddressSanitizer, UndefinedBehaviorSanitizer and ThreadSanitizer: what `make sanitize` runs.

The core and its modules are built anew in build/sanitize. Under the first two run the tests of tests/kalamcore, the
eight threads of python_mix.py and every driver beside this file; under the third, the drivers, which need no
interpreter. A report ends the program that earned it. KALAM_SANITIZE_SECONDS (60) is how long the mix and the drivers
of threads go on, each.

    python tests/native/sanitize.py [WORD …]    only the programs whose names have every word (see programs())

Returns 0 where there was no report and nothing failed, and says so in its last line.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "sanitize"
REPORTS = BUILD / "reports"
SITE = BUILD / "site"
SECONDS = int(os.environ.get("KALAM_SANITIZE_SECONDS", "60"))
SANITIZERS = {"address": "ASan and UBSan", "thread": "TSan"}


def main() -> int:
    started = time.monotonic()
    for name in SANITIZERS:
        build(name)
    lay_out()
    shutil.rmtree(REPORTS, ignore_errors=True)
    REPORTS.mkdir(parents=True)
    failures = []
    for name, command, environment in programs():
        if not all(word in name for word in sys.argv[1:]):
            continue
        before = time.monotonic()
        result = subprocess.run(command, env=environment, cwd=ROOT, check=False)
        took = time.monotonic() - before
        said = "ok" if result.returncode == 0 else f"FAILED ({result.returncode})"
        print(f"sanitize: {name}: {said}, {took:.0f} s", flush=True)
        if result.returncode:
            failures.append(name)
    reports = sorted(path for path in REPORTS.iterdir() if path.stat().st_size)
    for report in reports:
        print(
            f"--- {report.relative_to(ROOT)}",
            report.read_text(errors="replace")[:6000],
            sep="\n",
            file=sys.stderr,
        )
    took = time.monotonic() - started
    which = "".join(f", {name}" for name in failures)
    print(f"sanitize: {len(reports)} reports, {len(failures)} failures{which}; {took:.0f} s")
    return 1 if reports or failures else 0


def build(name: str) -> None:
    """The core, the drivers, and for a sanitizer that an interpreter can be run under, the modules."""
    import cython_cmake

    print(f"sanitize: building for {SANITIZERS[name]}", flush=True)
    configured = [
        "cmake", "-S", ROOT, "-B", BUILD / name, "-G", "Ninja", "--log-level=ERROR",
        "-DCMAKE_BUILD_TYPE=None", "-DCMAKE_CXX_FLAGS=-O1", f"-DKALAM_SANITIZE={name}",
        "-DSKBUILD_PROJECT_NAME=kalamdb", "-DSKBUILD_PROJECT_VERSION=0",
        f"-DCMAKE_MODULE_PATH={Path(cython_cmake.__file__).parent / 'cmake'}",
        f"-DPython_EXECUTABLE={sys.executable}",
    ]  # fmt: skip
    subprocess.run(configured, check=True, stdout=subprocess.DEVNULL)
    command = ["cmake", "--build", BUILD / name, *(["--target", "drivers"] if name == "thread" else [])]
    result = subprocess.run(command, check=False, text=True, errors="replace", capture_output=True)
    if result.returncode:
        sys.exit(result.stdout[-6000:] + result.stderr)


def lay_out() -> None:
    """Both packages as the wheel has them, but with the sanitized modules."""
    shutil.rmtree(SITE, ignore_errors=True)
    subprocess.run(
        ["cmake", "--install", BUILD / "address", "--prefix", SITE], check=True, stdout=subprocess.DEVNULL
    )
    (SITE / "kalamcore" / "__init__.py").write_bytes(
        (ROOT / "src" / "kalamcore" / "__init__.py").read_bytes()
    )
    shutil.copytree(ROOT / "src" / "kalamdb", SITE / "kalamdb", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "grammar", SITE / "kalamdb" / "grammar")


def programs() -> list[tuple[str, Sequence[str | Path], dict[str, str]]]:
    """What is run, by name."""
    address, thread = BUILD / "address", BUILD / "thread"
    python = [sys.executable, "-P"]
    mix, drivers, races = under_python(), under_address(), under_thread()
    # Addresses that are laid out at random over too many bits leave no room for the shadow of old versions.
    fixed = ["setarch", platform.machine(), "-R"] if shutil.which("setarch") else []
    seconds = str(SECONDS)
    # The profile without deadlines: everything takes several times as long here.
    tests = [
        *python,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--hypothesis-profile=ci",
        "tests/kalamcore",
    ]
    return [
        ("ASan: the memory that is preloaded is the sanitizer's", [*python, "-c", PLANTED], mix),
        (
            "ASan: tests/kalamcore",
            tests,
            mix,
        ),
        (
            "ASan: eight threads of Python",
            [*python, ROOT / "tests" / "native" / "python_mix.py", seconds],
            mix,
        ),
        ("ASan: the log's driver", [address / "wal_driver"], drivers),
        ("ASan: the store's driver", [address / "store_driver", "300", "10"], drivers),
        ("ASan: the transactions' driver", [address / "transaction_driver", "300"], drivers),
        ("ASan: every allocation fails", [address / "allocation_driver"], drivers),
        ("TSan: the log's driver", [*fixed, thread / "wal_driver"], races),
        ("TSan: the store's driver", [*fixed, thread / "store_driver", "300", seconds], races),
        ("TSan: the transactions' driver", [*fixed, thread / "transaction_driver", "300"], races),
    ]


# That the modules are the sanitized ones, whatever else is installed.
PLANTED = f"""
import kalamcore.store, kalamdb
for module in (kalamcore.store, kalamdb):
    assert module.__file__.startswith({str(SITE)!r}), module.__file__
assert b"libasan" in open("/proc/self/maps", "rb").read()
"""


def runtime(name: str) -> str:
    """The compiler's library of that name."""
    compiler = os.environ.get("CXX", "c++")
    found = subprocess.run([compiler, f"-print-file-name={name}"], check=True, text=True, capture_output=True)
    return found.stdout.strip()


def reporting(**more: str) -> dict[str, str]:
    """The environment of a program whose reports go to files."""
    environment = {
        name: value for name, value in os.environ.items() if name not in ("LD_PRELOAD", "PYTHONPATH")
    }
    common = f"log_path={REPORTS / 'report'}:exitcode=66"
    return {
        **environment,
        "ASAN_OPTIONS": f"{common}:detect_leaks=0:detect_stack_use_after_return=1:handle_abort=1",
        "UBSAN_OPTIONS": f"{common}:print_stacktrace=1:halt_on_error=1",
        "TSAN_OPTIONS": f"{common}:halt_on_error=1:second_deadlock_stack=1",
        **more,
    }


def under_python() -> dict[str, str]:
    """An interpreter that did not ask for a sanitizer. Leaks are not looked for: it never gives all back."""
    # With the C++ library, whose throw the sanitizer wants to find when it starts.
    preload = " ".join(runtime(name) for name in ("libasan.so", "libubsan.so", "libstdc++.so"))
    return reporting(
        LD_PRELOAD=preload,
        PYTHONPATH=f"{SITE}:{ROOT}",
        PYTHONMALLOC="malloc",  # so that what lies behind an object of Python's is seen too
        PYTHONDONTWRITEBYTECODE="1",
    )


def under_address() -> dict[str, str]:
    """A driver, whose leaks are looked for."""
    environment = reporting()
    environment["ASAN_OPTIONS"] = environment["ASAN_OPTIONS"].replace("detect_leaks=0", "detect_leaks=1")
    return environment


def under_thread() -> dict[str, str]:
    """A driver whose races are looked for."""
    return reporting()


if __name__ == "__main__":
    sys.exit(main())

"""Makes what is released from this machine, and tries it: `make wheel`.

1. The wheel in dist/ is given the tag of the oldest systems that it runs on (auditwheel), and libraries that they lack.
2. A source distribution is made, and from it, by itself, a second wheel.
3. Both wheels are installed in empty environments, with what they ask for and nothing else, and
   packaging/wheel_smoke.py is run there.

What cannot be done here is said, and is an error only where the wheel itself does not work.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
RELEASE = DIST / "release"
BESIDE = Path(sys.executable).parent
SMOKE = Path(__file__).resolve().parent / "wheel_smoke.py"
NEEDED = {
    "grammar/dml.lark",
    "src/kalamcore/store.pyx",
    "src/kalamcore/cpp/store.cpp",
    "CMakeLists.txt",
    "LICENSE",
}
"""Some of what a build from sources cannot do without."""


def main() -> None:
    """All three steps."""
    shutil.rmtree(RELEASE, ignore_errors=True)
    RELEASE.mkdir()
    (built,) = DIST.glob("kalamdb-*.whl")
    wheel = tagged(built)
    works(wheel)
    source = source_distribution()
    with tempfile.TemporaryDirectory() as directory:
        works(wheel_of(source, Path(directory)))
    print(*(f"dist/release/{path.name}" for path in sorted(RELEASE.iterdir())), sep="\n")


def tagged(built: Path) -> Path:
    """The wheel for other machines than this one; the same file where that cannot be."""
    if not sys.platform.startswith("linux"):
        return copied(
            built, "this is no Linux: delocate, as cibuildwheel runs it, makes wheels for other Macs"
        )
    done = subprocess.run(
        [BESIDE / "auditwheel", "repair", "--wheel-dir", RELEASE, built],
        env={"PATH": f"{BESIDE}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return copied(built, f"auditwheel does not vouch for other systems:\n{done.stderr.strip()}")
    (wheel,) = RELEASE.glob("*.whl")
    print(
        f"{wheel.name}: built against this machine's glibc; cibuildwheel builds for older ones (CONTRIBUTING.md)"
    )
    return wheel


def copied(built: Path, why: str) -> Path:
    print(f"the wheel is for systems like this one alone: {why}", file=sys.stderr)
    return Path(shutil.copy(built, RELEASE))


def source_distribution() -> Path:
    """The sources as one file, with all that a build needs."""
    subprocess.run(
        [sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", RELEASE, ROOT],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    (source,) = RELEASE.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    if missing := NEEDED - names:
        sys.exit(f"{source.name} lacks {', '.join(sorted(missing))}")
    return source


def wheel_of(source: Path, directory: Path) -> Path:
    """A wheel that is made of the source distribution and nothing beside it; it asks PyPI for the tools."""
    subprocess.run([BESIDE / "pip", "wheel", "-q", "--no-deps", "-w", directory, source], check=True)
    (wheel,) = directory.glob("*.whl")
    return wheel


def works(wheel: Path) -> None:
    """Ends the program unless the wheel does its work where only it is installed."""
    with tempfile.TemporaryDirectory() as directory:
        venv.create(directory, with_pip=False)
        python = Path(directory) / "bin" / "python"
        subprocess.run([BESIDE / "pip", "--python", python, "install", "-q", wheel], check=True)
        subprocess.run([python, "-P", SMOKE], cwd=directory, check=True)


if __name__ == "__main__":
    main()

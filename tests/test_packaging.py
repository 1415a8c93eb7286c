"""The wheel: what is in it, that it installs into an empty environment, and that importing it stays light."""

from __future__ import annotations

import email
import re
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = (
    "errors",
    "system",
    "wal",
    "memtable",
    "rows",
    "not_null",
    "ids",
    "statements",
    "store",
    "segment_load",
    "stored_rows",
    "json_rows",
)


@pytest.fixture(scope="module")
def wheel() -> Path:
    """The wheel that `make` built and installed."""
    wheels = list((ROOT / "dist").glob("kalamdb-*.whl"))
    if len(wheels) != 1:
        pytest.skip("needs the wheel in dist/: run `make wheel`")
    return wheels[0]


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    return set(zipfile.ZipFile(wheel).namelist())


@pytest.mark.parametrize("module", MODULES)
def test_wheel_carries_each_native_module_with_its_stub_and_declarations(
    names: set[str], module: str
) -> None:
    assert any(name.startswith(f"kalamcore/{module}.") and name.endswith(".so") for name in names)
    assert f"kalamcore/{module}.pyi" in names
    assert f"kalamcore/{module}.pxd" in names


def test_wheel_carries_the_core_library_types_and_grammar(names: set[str]) -> None:
    chapters = {path.name for path in (ROOT / "grammar").glob("*.lark")}

    assert names & {"kalamcore/libkalam.so", "kalamcore/libkalam.dylib"}
    assert {"kalamcore/py.typed", "kalamdb/py.typed"} <= names
    assert {f"kalamdb/grammar/{chapter}" for chapter in chapters} <= names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_wheel_carries_every_python_module_and_nothing_else(names: set[str]) -> None:
    sources = {path.relative_to(ROOT / "src").as_posix() for path in (ROOT / "src").rglob("*.py")}
    foreign = {
        name
        for name in names
        if name.endswith((".cpp", ".hpp", ".pyx", ".o", ".a", ".pyc", "CMakeLists.txt"))
    }

    assert sources == {name for name in names if name.endswith(".py")}
    assert not foreign
    assert {name.split("/")[0].split("-")[0] for name in names} == {"kalamcore", "kalamdb"}


def test_wheel_asks_for_no_developer_tool(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        fields = email.message_from_bytes(archive.read(metadata))
    asked = fields.get_all("Requires-Dist", [])
    wanted = {re.split("[<>=]", one)[0] for one in asked if "extra ==" not in one}
    of_extra = {
        extra: {
            re.split(" *[<>=;]", one)[0] for one in asked if f"extra == '{extra}'" in one.replace('"', "'")
        }
        for extra in ("all", "cli", "client", "cloud", "server", "sqlalchemy")
    }

    assert wanted == {
        "argon2-cffi",
        "cryptography",
        "datafusion",
        "lark",
        "numpy",
        "orjson",
        "pyarrow",
        "xxhash",
    }
    assert of_extra == {
        "all": {"kalamdb[cli,client,cloud,server,sqlalchemy]"},
        "cli": {"click", "prompt-toolkit", "pygments", "wcwidth"},
        "client": {"httpx", "websockets"},
        "cloud": {"obstore"},
        "server": {
            "click",
            "httptools",
            "msgspec",
            "prometheus-client",
            "pyjwt",
            "starlette",
            "uvicorn",
            "uvloop",
            "websockets",
        },
        "sqlalchemy": {"sqlalchemy"},
    }
    assert sorted(fields.get_all("Provides-Extra") or ()) == [
        "all",
        "cli",
        "client",
        "cloud",
        "server",
        "sqlalchemy",
    ]
    assert fields["Requires-Python"] == ">=3.11"


def test_wheel_installs_into_an_empty_environment_and_works_there(wheel: Path, tmp_path: Path) -> None:
    # Without its dependencies being downloaded again: they are read from the environment of the tests, which is
    # added behind the empty one, and holds kalamdb too; so where the modules come from is asserted as well.
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=False)
    python = environment / "bin" / "python"
    (packages,) = environment.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    dependencies = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "dependencies.pth").write_text("\n".join(dependencies))
    program = (
        "import kalamcore, kalamdb\n"
        "with kalamdb.open('data') as db:\n"
        "    db.execute('CREATE TABLE t (id BIGINT PRIMARY KEY)')\n"
        "    db.execute('INSERT INTO t VALUES (42)')\n"
        "    print(kalamdb.__file__, kalamcore.__file__, db.execute('SELECT id FROM t').fetchone()[0], sep='\\n')\n"
    )
    done = subprocess.run(
        [python, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )

    assert done.returncode == 0, done.stderr
    database, core, answer = done.stdout.split("\n")[:3]
    assert Path(database).is_relative_to(packages)
    assert Path(core).is_relative_to(packages)
    assert answer == "42"


def test_importing_kalamdb_brings_in_no_heavy_library() -> None:
    program = "import kalamdb, sys; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )

    assert not {
        "argon2",
        "click",
        "cryptography",
        "datafusion",
        "jwt",
        "lark",
        "pandas",
        "polars",
        "sqlalchemy",
        "starlette",
        "uvicorn",
    } & set(done.stdout.split())


def test_version_is_the_same_everywhere() -> None:
    import importlib.metadata

    import kalamdb

    assert kalamdb.__version__ == importlib.metadata.version("kalamdb")

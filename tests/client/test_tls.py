"""A server that speaks TLS: whom a client trusts, and whom not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kalamdb.client import AsyncClient, Client
from kalamdb.errors import InterfaceError, ServerUnreachable
from tests.client.adapters import Tasks, database
from tests.server.certificate import self_signed
from tests.server.serving import Served, token_of


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return self_signed(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def secured(certificate: tuple[Path, Path]) -> Iterator[tuple[str, str]]:
    """Where the server is, and a token for it."""
    file, key = certificate
    with database() as db, Served(db, ssl_certfile=file, ssl_keyfile=key) as served:
        yield f"https://127.0.0.1:{served.port}", token_of(db, "ann")


def answers(kind: type[Any], tasks: Tasks, where: tuple[str, str], **options: Any) -> tuple[Any, list[Any]]:
    """What a statement answers, and what a live query tells first."""
    url, token = where
    if kind is Client:
        with Client(url, token=token, retries=0, reconnect_s=1, **options) as client:
            answer = client.execute("SELECT 40 + 2").fetchone()
            with client.subscribe("SELECT id FROM app.notes") as events:
                return answer, next(events).rows

    async def asked() -> tuple[Any, list[Any]]:
        async with AsyncClient(url, token=token, retries=0, reconnect_s=1, **options) as client:
            answer = (await client.execute("SELECT 40 + 2")).fetchone()
            async with await client.subscribe("SELECT id FROM app.notes") as events:
                return answer, (await anext(events)).rows

    found: tuple[Any, list[Any]] = tasks.do(asked())
    return found


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_whose_certificate_is_trusted_is_spoken_with(
    kind: type[Any], tasks: Tasks, secured: tuple[str, str], certificate: tuple[Path, Path]
) -> None:
    assert answers(kind, tasks, secured, ca_file=certificate[0]) == ((42,), [])
    assert answers(kind, tasks, secured, verify=False) == ((42,), [])


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_who_cannot_prove_who_it_is_gets_no_token(
    kind: type[Any], tasks: Tasks, secured: tuple[str, str]
) -> None:
    with pytest.raises(ServerUnreachable, match="certificate"):
        answers(kind, tasks, secured)


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "no.pem").write_text("no certificate")
    for options in ({"ca_file": tmp_path / "no.pem"}, {"certificate_file": tmp_path / "missing.pem"}):
        with pytest.raises(InterfaceError, match="files for TLS"):
            Client("https://127.0.0.1", token="x", **options)  # type: ignore[arg-type]

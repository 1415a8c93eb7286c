"""`kalam serve` as its operator meets it: the first start, the log, TLS, and the end."""

from __future__ import annotations

import concurrent.futures
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

import kalamdb
from tests.server.certificate import self_signed
from tests.server.processes import PASSWORD, ROOT_PASSWORD, Process, run, sql

SLOW = "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t WHERE n < {}) SELECT count(*) FROM t"
"""Takes about ten seconds for a million."""
END_S = 20.0
"""Five seconds are promised; a busy machine gets more."""
CANARY = "a1canary7"


def test_the_first_start_says_how_to_set_it_up_and_that_works(directory: Path) -> None:
    with Process(directory) as server:
        server.set_up()
        with server.client("dora") as client:
            assert sql(client, "SELECT 1 AS one").json()["results"][0]["rows"] == [["1"]]
        server.tell()
        assert server.wait() == 0
    with Process(directory) as again:
        again.tell()
        again.wait()

    assert "/v1/api/auth/setup" in server.said
    assert again.said.count("\n") == 1, "it is set up"


def test_what_was_told_is_there_after_a_signal(directory: Path) -> None:
    """R14: writers at work, a signal at some moment, exit 0, and no row is lost."""
    told: list[int] = []

    def write(server: Process, first: int) -> None:
        with server.client("dora") as client:
            for number in range(first, first + 10_000):
                try:
                    if sql(client, f"INSERT INTO app.t VALUES ({number})").status_code != 200:
                        return
                except httpx.HTTPError:
                    return
                told.append(number)

    with Process(directory) as server:
        server.set_up()
        with server.client("dora") as client:
            sql(client, "CREATE NAMESPACE app; CREATE SHARED TABLE app.t (id BIGINT PRIMARY KEY)")
        with concurrent.futures.ThreadPoolExecutor(4) as writers:
            for first in (0, 10_000, 20_000, 30_000):
                writers.submit(write, server, first)
            while len(told) < 50:
                time.sleep(0.01)
            started = time.monotonic()
            server.tell()
            assert server.wait() == 0
            took_s = time.monotonic() - started

    assert took_s < END_S
    with kalamdb.open(directory) as db:
        assert set(told) <= {row[0] for row in db.execute("SELECT id FROM app.t")}


def test_a_statement_may_finish_while_no_other_is_taken(directory: Path) -> None:
    with Process(directory, "--set", "drain_timeout_s=60") as server:
        server.set_up()
        with (
            server.client("dora") as slow,
            server.client("dora") as client,
            concurrent.futures.ThreadPoolExecutor(1) as thread,
        ):
            answer = thread.submit(sql, slow, SLOW.format(300_000))
            time.sleep(1.0)
            server.tell()
            while client.get("/v1/api/healthcheck").status_code == 200:
                time.sleep(0.01)

            health, other = client.get("/v1/api/healthcheck"), sql(client, "SELECT 1")

            assert health.status_code == 503
            assert health.json()["status"] == "closing"
            assert other.status_code == 503
            assert other.json()["error"]["code"] == "SERVER_CLOSING"
            assert int(other.headers["retry-after"]) >= 1
            assert answer.result().json()["results"][0]["rows"] == [["300000"]]
        assert server.wait() == 0


@pytest.mark.parametrize("hurried", [False, True])
def test_a_statement_that_takes_too_long_ends_with_the_server(directory: Path, hurried: bool) -> None:
    drain_timeout_s = "600" if hurried else "0.5"
    with Process(directory, "--set", f"drain_timeout_s={drain_timeout_s}") as server:
        server.set_up()
        with server.client("dora") as client, concurrent.futures.ThreadPoolExecutor(1) as thread:
            answer = thread.submit(sql, client, SLOW.format(10**9))
            time.sleep(1.0)
            started = time.monotonic()
            server.tell()
            if hurried:
                time.sleep(0.2)
                server.tell(signal.SIGINT)
            status = server.wait()
            took_s = time.monotonic() - started

            cut = answer.result()

    assert cut.status_code == 503
    assert cut.json()["error"]["code"] == "SERVER_CLOSING"
    assert status == 0
    assert took_s < END_S


def test_the_log_says_who_asked_for_what_and_nothing_of_what_is_in_it(directory: Path) -> None:
    with Process(directory) as server:
        server.set_up()
        with server.client("dora") as client:
            sql(client, f"SELECT '{CANARY}' AS c")
            sql(client, f"SELECT CAST('{CANARY}' AS BIGINT)")
            sql(client, f"SELEC '{CANARY}'")
            client.get("/v1/api/sql", params={"sql": f"SELECT '{CANARY}'"})
            client.get(f"/{CANARY}", headers={"X-Request-ID": CANARY})
            client.request(CANARY.upper(), "/")
            client.post("/v1/api/auth/login", json={"user": "dora", "password": CANARY})
            token = client.headers["Authorization"].removeprefix("Bearer ")
        server.tell()
        server.wait()
        text = "\n".join(map(str, server.logged))
        requests = [line for line in server.logged if line["message"] == "request"]

    assert CANARY not in text
    assert CANARY.upper() not in text
    assert token not in text
    assert PASSWORD not in text
    assert ROOT_PASSWORD not in text
    statements = [line for line in requests if line["route"] == "/v1/api/sql"]
    assert [line["status"] for line in statements] == [200, 400, 400, 200]
    assert {line["user"] for line in statements} == {"dora"}
    assert len({line["request_id"] for line in requests}) == len(requests)
    assert all(line["duration_ms"] > 0 and line["address"] == "127.0.0.1" for line in requests)
    assert [line["status"] for line in requests if line["route"] is None] == [404]


def test_a_level_leaves_out_what_is_below_it(directory: Path) -> None:
    with Process(directory, "--set", "log_level=warning") as server:
        server.client().get("/")
        server.tell()
        server.wait()

    assert [line["message"] for line in server.logged] == ["root has no password yet"]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return self_signed(tmp_path_factory.mktemp("tls"))


def test_with_a_certificate_it_speaks_tls_alone(directory: Path, certificate: tuple[Path, Path]) -> None:
    file, key = map(str, certificate)
    with Process(directory, "--tls-certificate", file, "--tls-key", key) as server:
        with server.client(verify=ssl.create_default_context(cafile=file)) as client:
            assert client.get("/v1/api/healthcheck").status_code == 200
        plain = server.url.replace("https:", "http:")

        assert server.url.startswith("https:")
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"{plain}/v1/api/healthcheck", timeout=10)


def test_a_certificate_without_its_key_is_refused(directory: Path, certificate: tuple[Path, Path]) -> None:
    done = run("serve", str(directory), "--port", "0", "--tls-certificate", str(certificate[0]))

    assert done.returncode == 2
    assert "tls_key_file" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_named(directory: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])

        done = run("serve", str(directory), "--port", port)

    assert done.returncode == 1
    assert port in done.stderr
    assert "Traceback" not in done.stderr
    assert not directory.exists()


def test_a_directory_that_another_process_owns_is_refused(directory: Path) -> None:
    with kalamdb.open(directory):
        done = run("serve", str(directory), "--port", "0")

    assert done.returncode == 1
    assert "Traceback" not in done.stderr


def test_a_secret_that_can_be_guessed_is_refused_at_the_start(directory: Path) -> None:
    done = run("serve", str(directory), "--port", "0", environment={"KALAM_JWT_SECRET": "secret"})

    assert done.returncode == 2
    assert "KALAM_JWT_SECRET" in done.stderr


def test_beyond_this_machine_nobody_sets_it_up(directory: Path) -> None:
    with Process(directory, "--host", "0.0.0.0") as server:
        url = server.url.replace("0.0.0.0", "127.0.0.1")
        body = {"user": "dora", "password": PASSWORD, "root_password": ROOT_PASSWORD}
        answers = [
            httpx.post(f"{url}/v1/api/auth/setup", json=body),
            httpx.post(f"{url}/v1/api/auth/login", json={"user": "root", "password": ""}),
        ]

    assert [answer.json()["error"]["code"] for answer in answers] == ["REMOTE_ACCESS_DENIED"] * 2


def test_websockets_are_closed_with_1012() -> None:
    """As uvicorn is set up here, whatever answers them."""
    import uvicorn
    from websockets.exceptions import ConnectionClosed
    from websockets.sync.client import connect

    from kalamdb.server.serving import configuration, listen
    from kalamdb.settings import Settings

    async def application(scope, receive, send):
        if scope["type"] == "lifespan":
            for kind in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{kind}.complete"})
            return
        await send({"type": "websocket.accept"})
        while (await receive())["type"] != "websocket.disconnect":
            pass

    server = uvicorn.Server(configuration(application, Settings()))
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        with connect(f"ws://127.0.0.1:{port}/") as websocket:
            server.should_exit = True
            with pytest.raises(ConnectionClosed) as closed:
                websocket.recv(timeout=END_S)
        thread.join(END_S)

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012
    assert not thread.is_alive()


def test_the_interpreter_is_set_for_a_server(directory: Path) -> None:
    """Set before anything else is done, so that a server that finds no address is enough to see it."""
    program = """
import gc, sys
from kalamdb.errors import StorageUnavailable
from kalamdb.server.serving import serve
from kalamdb.settings import load_settings
try:
    serve(sys.argv[1], load_settings(overrides={"server_host": "192.0.2.1", "server_port": 1}), print)
except StorageUnavailable:
    print(sys.getswitchinterval(), gc.get_threshold()[0])
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(directory)], capture_output=True, text=True, check=False
    )
    assert (done.stdout.strip(), done.returncode) == ("0.0005 10000", 0), done.stderr

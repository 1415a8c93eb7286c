"""A server that answers as a test says: to see what a client does with it."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LOST = "lost"
"""The connection ends without an answer."""
SUCCESS = {
    "status": "success",
    "took_ms": 0.1,
    "results": [{"row_count": 1, "message": "Done", "as_user": "ann"}],
}


class ScriptedServer:
    """Answers in the order given: LOST, or (status, body, headers); behind the last of them, success. `asked`: the
    paths and bodies that came."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, Any, str | None]] = []
        script = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                script.asked.append((self.path, body, self.headers.get("Authorization")))
                answer = script.answers.pop(0) if script.answers else (200, SUCCESS, {})
                if answer == LOST:
                    self.close_connection = True
                    return
                status, told, headers = answer
                text = json.dumps(told).encode()
                self.send_response(status)
                for name, value in {"Content-Length": str(len(text)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )

    def __enter__(self) -> ScriptedServer:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def refusal(status: int, code: str, name: str, **headers: str) -> Any:
    """An answer that tells of an error."""
    error = {"code": code, "message": f"refused: {code}", "details": {"error": name, "sqlstate": "XX000"}}
    return status, {"status": "error", "results": [], "error": error}, headers


def log_in(number: int) -> Any:
    """What a log-in or a refresh answers."""
    told = {
        "access_token": f"token {number}",
        "expires_at": "2999-01-01T00:00:00Z",
        "refresh_token": f"refresh {number}",
        "refresh_expires_at": "2999-01-01T00:00:00Z",
    }
    return 200, told, {}

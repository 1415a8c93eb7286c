"""GET /v1/api/healthcheck."""

import kalamdb
from tests.server.serving import Served


def test_an_open_database_is_healthy_and_needs_no_token_to_say_so(served: Served) -> None:
    answer = served.client().get("/v1/api/healthcheck")

    assert answer.status_code == 200
    assert answer.json() == {"status": "healthy", "version": kalamdb.__version__, "api_version": "v1"}


def test_a_closed_database_is_not(served: Served) -> None:
    served.db.close()

    answer = served.client().get("/v1/api/healthcheck")

    assert answer.status_code == 503
    assert answer.json()["status"] == "closing"

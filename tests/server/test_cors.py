"""Pages of other origins."""

import pytest

from tests.server.serving import Served

PAGE = "https://app.example"
ASKED = {
    "Origin": PAGE,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization",
}


def test_without_the_setting_no_page_reads_answers(served: Served) -> None:
    asked = served.client().options("/v1/api/sql", headers=ASKED)
    answer = served.client("sam").post("/v1/api/sql", json={"sql": "SELECT 1"}, headers={"Origin": PAGE})

    assert asked.status_code == 204
    assert "access-control-allow-origin" not in asked.headers
    assert "access-control-allow-methods" not in asked.headers
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("origins", [[PAGE, "http://localhost:3000"], "*"])
def test_the_pages_of_the_setting_do(served_with, origins) -> None:
    served = served_with(cors_origins=origins)

    asked = served.client().options("/v1/api/sql", headers=ASKED)
    answer = served.client("sam").post("/v1/api/sql", json={"sql": "SELECT 1"}, headers={"Origin": PAGE})
    refused = served.client().post("/v1/api/sql", headers={"Origin": PAGE})

    assert asked.status_code == 204
    assert asked.headers["access-control-allow-methods"] == "POST, GET, HEAD"
    assert "authorization" in asked.headers["access-control-allow-headers"]
    for one in (asked, answer, refused):
        assert one.headers["access-control-allow-origin"] == PAGE
        assert "origin" in one.headers["vary"]
        assert "access-control-allow-credentials" not in one.headers
    assert refused.status_code == 401


@pytest.mark.parametrize(
    "origin", ["https://app.example.evil.example", "https://evil.example", "null", "http://app.example", ""]
)
def test_others_do_not(served_with, origin) -> None:
    served = served_with(cors_origins=[PAGE])

    answer = served.client().options("/v1/api/sql", headers={**ASKED, "Origin": origin})

    assert "access-control-allow-origin" not in answer.headers


def test_options_without_an_origin_tells_the_methods(served: Served) -> None:
    answer = served.client().options("/v1/api/healthcheck")

    assert answer.status_code == 204
    assert answer.headers["allow"] == "GET, HEAD"

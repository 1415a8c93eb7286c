"""Whose tokens are taken, as the settings say it."""

from __future__ import annotations

import pytest

from kalamdb.auth.issuers import foreign_issuers, own_issuer
from kalamdb.auth.keys import private_key
from kalamdb.errors import InvalidSetting
from kalamdb.settings import Settings

SECRET = "canary-4f1d-0123456789abcdefghijklmnop"


def test_no_setting_is_nobody():
    assert foreign_issuers(None, {}) == []
    assert foreign_issuers(Settings().trusted_issuers, {}) == []


def test_each_entry_is_one_issuer(tmp_path):
    file = tmp_path / "secret"
    file.write_text(SECRET + "\n")
    setting = Settings(
        trusted_issuers=[
            "https://idp.example RS256+ES256 https://idp.example/jwks.json",
            "app HS256 env:APP_SECRET",
            f"jobs  HS256  file:{file}",
        ]
    ).trusted_issuers

    idp, app, jobs = foreign_issuers(setting, {"APP_SECRET": SECRET}, fetch=lambda url: b"")

    assert (idp.name, idp.algorithms) == ("https://idp.example", {"RS256", "ES256"})
    assert (app.name, app.algorithms, app.foreign) == ("app", {"HS256"}, True)
    assert app.keys.find(None, "HS256").material == jobs.keys.find("x", "HS256").material == SECRET.encode()
    assert app.keys.find(None, "RS256") is None
    assert SECRET not in repr((idp, app, jobs))


@pytest.mark.parametrize(
    ("source", "environment", "words"),
    [
        ("env:MISSING", {}, "set the environment variable MISSING"),
        ("env:WEAK", {"WEAK": "canary"}, "too weak"),
        ("env:WEAK", {"WEAK": ""}, "too weak"),
        ("file:/does/not/exist", {}, "cannot be read"),
    ],
)
def test_a_secret_that_is_missing_or_weak_is_refused(source, environment, words):
    setting = Settings(trusted_issuers=f"app HS256 {source}").trusted_issuers

    with pytest.raises(InvalidSetting, match=words) as caught:
        foreign_issuers(setting, environment)

    assert "canary" not in str(caught.value)
    assert "/does/not/exist" not in str(caught.value)


@pytest.mark.parametrize(
    "entry",
    [
        "app",
        "app HS256",
        "app none https://idp.example/keys",
        "app HS256 https://idp.example/keys",
        "app RS256 env:KEY",
        "app HS256+RS256 env:KEY",
        "app RS256 http://idp.example/keys",
        "app RS256 http://127.0.0.1.example/keys",
        "app RS256 https://user:word@idp.example/keys",
        "app RS256 file:///etc/passwd",
        "app HS256 file:relative",
        "app HS256 canary-secret-itself",
        "a b HS256 env:KEY",
        "app HS256 env:KEY, app HS256 env:OTHER",
        " , ",
    ],
)
def test_what_is_no_entry_is_refused_when_the_database_is_opened(entry):
    with pytest.raises(InvalidSetting, match="trusted_issuers") as caught:
        Settings(trusted_issuers=entry)

    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "entry", ["a RS256 http://localhost:8080/k", "a RS256 http://127.0.0.1/k", "a ES256 http://[::1]/k"]
)
def test_http_is_for_this_machine(entry):
    (issuer,) = foreign_issuers(Settings(trusted_issuers=entry).trusted_issuers, {}, fetch=lambda url: b"")

    assert issuer.name == "a"


def test_the_text_of_the_setting_can_be_given_back():
    first = Settings(trusted_issuers=("a HS256 env:A", "b RS256 https://b.example/keys?v=1"))

    assert Settings(trusted_issuers=first.trusted_issuers) == first
    assert Settings(trusted_issuers="none").trusted_issuers is None
    assert Settings(trusted_issuers=[]).trusted_issuers is None


def test_this_database_takes_its_own_algorithm_alone(rsa_pem):
    issuer = own_issuer("kalamdb", private_key(rsa_pem, "it"))

    assert issuer.algorithms == {"RS256"}
    assert not issuer.foreign
    assert issuer.keys.find("any", "HS256") is None

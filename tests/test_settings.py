"""Settings: where they come from, which wins, and what they refuse."""

from __future__ import annotations

import pytest

from kalamdb.errors import InvalidSetting
from kalamdb.settings import NAMES, Settings, load_settings


def test_what_nobody_names_has_its_default():
    settings = load_settings(environment={})

    assert settings == Settings()
    assert settings.durability == "full"
    assert settings.wal_file_bytes == 64 << 20
    assert settings.memory_limit_bytes == 256 << 20
    assert settings.statement_timeout_s is None
    assert settings.compat is None


def test_queries_have_what_memtable_and_caches_leave_and_a_quarter_at_least():
    mib = 1 << 20
    assert Settings().query_memory_bytes == 64 * mib
    assert Settings(memory_limit_bytes=1024 * mib).query_memory_bytes == (1024 - 192) * mib
    assert Settings(memtable_bytes=4096 * mib).query_memory_bytes == 64 * mib
    assert Settings(memtable_bytes=mib, hot_cache_bytes=0, cache_bytes=0).query_memory_bytes == 255 * mib


def test_overrides_win_over_the_environment_and_it_over_the_file(tmp_path):
    file = tmp_path / "kalam.toml"
    file.write_text('worker_id = 1\njob_retention_d = 1\naudit_retention_d = 1\nmemtable_bytes = "1MiB"\n')

    settings = load_settings(
        file,
        {"KALAM_JOB_RETENTION_D": "2", "KALAM_AUDIT_RETENTION_D": "2", "KALAM_DB": "x"},
        {"audit_retention_d": 3},
    )

    assert (settings.worker_id, settings.job_retention_d, settings.audit_retention_d) == (1, 2, 3)
    assert settings.memtable_bytes == 1 << 20


@pytest.mark.parametrize(
    ("given", "size"),
    [("64MiB", 64 << 20), ("64 mib", 64 << 20), ("1.5GiB", 3 << 29), ("100MB", 10**8), (70000, 70000)],
)
def test_sizes_are_numbers_or_text_with_a_unit(given, size):
    assert Settings(wal_file_bytes=given).wal_file_bytes == size


@pytest.mark.parametrize(
    ("name", "given", "range_"),
    [
        ("durability", "fast", "full or normal"),
        ("worker_id", 1024, "0 to 1023"),
        ("worker_id", -1, "0 to 1023"),
        ("worker_id", True, "0 to 1023"),
        ("worker_id", "seven", "0 to 1023"),
        ("wal_file_bytes", "64XB", "64KiB to 4GiB"),
        ("wal_file_bytes", 1, "64KiB to 4GiB"),
        ("wal_file_bytes", 1e8, "64KiB to 4GiB"),
        ("memtable_bytes", "9" * 400 + "MiB", "a size from"),
        ("statement_timeout_s", 0, "or none"),
        ("statement_timeout_s", float("nan"), "or none"),
        ("transaction_timeout_s", None, "a number of seconds"),
        ("compat", "postgres", "kalamdb-0.4 or none"),
    ],
)
def test_a_value_it_cannot_have_is_refused_with_its_range(name, given, range_):
    with pytest.raises(InvalidSetting, match=f"setting {name} cannot be .*{range_}"):
        load_settings(None, {}, {name: given})


def test_an_unknown_name_is_refused_with_the_nearest(tmp_path):
    with pytest.raises(InvalidSetting, match="did you mean durability"):
        load_settings(None, {}, {"durabilty": "full"})


def test_a_file_that_cannot_be_read_is_refused_without_its_directory(tmp_path):
    with pytest.raises(InvalidSetting) as missing:
        load_settings(tmp_path / "missing.toml", {})
    assert str(tmp_path) not in str(missing.value)

    (tmp_path / "bad.toml").write_text("= 1")
    with pytest.raises(InvalidSetting, match="no TOML"):
        load_settings(tmp_path / "bad.toml", {})


def test_single_settings_can_be_put_in_place_of_others():
    assert Settings(worker_id=3).with_overrides({"compat": "none"}) == Settings(worker_id=3)
    with pytest.raises(InvalidSetting):
        Settings().with_overrides({"nonsense": 1})


def test_every_setting_is_described_and_its_text_can_be_given_back():
    rows = Settings(statement_timeout_s=1.5).described()

    assert [row.name for row in rows] == list(NAMES)
    assert all(row.description for row in rows)
    assert (
        load_settings(None, {f"KALAM_{row.name.upper()}": row.value for row in rows}).statement_timeout_s
        == 1.5
    )


@pytest.mark.parametrize(
    ("given", "roots"),
    [
        (None, ()),
        ("none", ()),
        ("", ()),
        ("/srv/a:/srv/b/", ("/srv/a", "/srv/b")),
        (["/srv/a/../b"], ("/srv/b",)),
    ],
)
def test_directories_are_absolute_paths(given, roots):
    settings = Settings(storage_roots=given)

    assert settings.storage_roots == roots
    (row,) = (row for row in settings.described() if row.name == "storage_roots")
    assert Settings(storage_roots=row.value) == settings


@pytest.mark.parametrize("given", ["srv", "/srv:x", ["x"], 5, [5], "/a\n"])
def test_directories_that_are_none_are_refused(given):
    with pytest.raises(InvalidSetting, match="absolute paths"):
        Settings(storage_roots=given)


@pytest.mark.parametrize(
    ("name", "given", "taken"),
    [
        ("jwt_issuer", "https://db.example", "https://db.example"),
        ("jwt_key_file", "/etc/kalam/key.pem", "/etc/kalam/key.pem"),
        ("jwt_key_file", "none", None),
        ("jwt_key_file", "", None),
        ("access_token_ttl_s", "60", 60),
        ("create_foreign_users", "true", True),
        ("create_foreign_users", "FALSE", False),
        ("create_foreign_users", "1", True),
        ("create_foreign_users", True, True),
    ],
)
def test_settings_of_tokens_are_taken_and_shown_as_they_can_be_given(name, given, taken):
    settings = Settings(**{name: given})

    assert getattr(settings, name) == taken
    (row,) = (row for row in settings.described() if row.name == name)
    assert Settings(**{name: row.value}) == settings


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("jwt_issuer", ""),
        ("jwt_issuer", "a b"),
        ("jwt_issuer", "x" * 257),
        ("jwt_issuer", None),
        ("jwt_audience", "a\n"),
        ("jwt_key_file", "relative.pem"),
        ("jwt_key_file", 5),
        ("access_token_ttl_s", 0),
        ("access_token_ttl_s", 86_401),
        ("refresh_token_ttl_d", 0),
        ("create_foreign_users", "perhaps"),
        ("create_foreign_users", 1),
        ("create_foreign_users", None),
    ],
)
def test_settings_of_tokens_that_cannot_be_are_refused(name, given):
    with pytest.raises(InvalidSetting, match=name):
        Settings(**{name: given})


@pytest.mark.parametrize(
    ("name", "given", "taken"),
    [
        (
            "cors_origins",
            ["https://App.example", "http://localhost:3000"],
            "https://app.example, http://localhost:3000",
        ),
        ("cors_origins", "*", "*"),
        ("cors_origins", "none", None),
        ("cors_origins", [], None),
        ("trusted_proxies", "10.0.0.0/8,192.0.2.1", "10.0.0.0/8, 192.0.2.1/32"),
        ("trusted_proxies", ["2001:db8::/32"], "2001:db8::/32"),
        ("trusted_proxies", "", None),
        ("user_requests_per_s_max", "none", None),
        ("user_requests_per_s_max", "50", 50),
        ("request_bytes_max", "2MiB", 2 << 20),
    ],
)
def test_settings_of_a_server_are_taken_and_can_be_given_back(name, given, taken):
    settings = Settings(**{name: given})

    assert getattr(settings, name) == taken
    (row,) = (row for row in settings.described() if row.name == name)
    assert Settings(**{name: row.value}) == settings


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("cors_origins", "app.example"),
        ("cors_origins", "https://app.example/path"),
        ("cors_origins", "https://app.example, *"),
        ("cors_origins", 5),
        ("trusted_proxies", "localhost"),
        ("trusted_proxies", "10.0.0.1/8"),
        ("trusted_proxies", [5]),
        ("user_requests_per_s_max", 0),
        ("request_headers_max", 1),
    ],
)
def test_settings_of_a_server_that_cannot_be_are_refused(name, given):
    with pytest.raises(InvalidSetting, match=name):
        Settings(**{name: given})

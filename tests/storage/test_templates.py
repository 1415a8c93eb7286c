"""Path templates: what they can be, and that no two partitions ever meet."""

from __future__ import annotations

import posixpath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kalamdb.errors import InvalidDefinition
from kalamdb.storage.backend import check_path
from kalamdb.storage.templates import (
    SHARED_DEFAULT,
    USER_DEFAULT,
    check_apart,
    encode_name,
    parse_template,
    shard_of,
)

USERS = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=128)
NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,63}", fullmatch=True)
USER_TEMPLATES = st.sampled_from(
    [
        USER_DEFAULT,
        "{namespace}/{tableName}/{shard}/{userId}",
        "ns={namespace}/table={tableName}/shard={shard}/user={userId}",
        "v1/{namespace}/{tableName}/users/{userId}/data",
    ]
)


def test_the_defaults_render_as_documented():
    shared = parse_template(SHARED_DEFAULT, of_users=False)
    user = parse_template(USER_DEFAULT, of_users=True)

    assert shared.render("app", "notes") == "app/notes"
    assert user.render("app", "notes", "alice") == "app/notes/alice"
    assert (shared.is_of_users, user.is_of_users) == (False, True)


def test_a_shard_is_two_hex_digits_of_a_hash_of_the_user():
    template = parse_template("{namespace}/{tableName}/{shard}/{userId}", of_users=True)

    assert template.render("app", "notes", "alice") == f"app/notes/{shard_of('alice')}/alice"
    assert {len(shard_of(f"user{number}")) for number in range(1000)} == {2}
    assert len({shard_of(f"user{number}") for number in range(5000)}) == 256


@pytest.mark.parametrize(
    ("name", "encoded"),
    [
        ("alice", "alice"),
        ("alice@example.com", "alice%40example.com"),
        ("Alice", "%41lice"),
        ("..", "%2E%2E"),
        (".", "%2E"),
        (".profile", "%2Eprofile"),
        ("end.", "end%2E"),
        ("a b", "a%20b"),
        ("a/b", "a%2Fb"),
        ("a\\b", "a%5Cb"),
        ("%2e%2e", "%252e%252e"),
        ("~", "%7E"),
        ("é", "%C3%A9"),
        ("con", "%63on"),
        ("nul.txt", "%6Eul.txt"),
        ("com1", "%63om1"),
        ("console", "console"),
    ],
)
def test_names_are_encoded_as_documented(name, encoded):
    assert encode_name(name) == encoded


def test_an_encoding_above_200_bytes_is_cut_and_told_apart_by_a_hash():
    assert encode_name("x" * 128) == "x" * 128
    first, second = encode_name("é" * 100), encode_name("é" * 99 + "è")

    assert len(first) == 80 + 1 + 32
    assert first[:81] == second[:81] == ("%C3%A9" * 14)[:80] + "~"
    assert first != second


@given(USERS, USERS)
@example("User", "user")
@example("a%2fb", "a/b")
@example("ß", "ss")
@example("K", "k")  # the sign for kelvin is a k to those who fold case
@example("x" * 201, "x" * 80 + "~" + "0" * 32)
def test_no_two_users_share_a_folder_whatever_the_storage_thinks_of_case(one, other):
    if one != other:
        assert encode_name(one).casefold() != encode_name(other).casefold()


@given(USER_TEMPLATES, NAMES, NAMES, USERS, NAMES, NAMES, USERS)
def test_no_two_partitions_share_a_folder_or_lie_in_each_other(template, n1, t1, u1, n2, t2, u2):
    parsed = parse_template(template, of_users=True)
    one = parsed.render(n1, t1, u1).casefold().split("/")
    other = parsed.render(n2, t2, u2).casefold().split("/")

    assert len(one) == len(other)
    assert (one == other) == ((n1, t1, u1) == (n2, t2, u2))


@given(USER_TEMPLATES, NAMES, NAMES, USERS)
def test_no_partition_leaves_its_storage(template, namespace, table, user):
    path = parse_template(template, of_users=True).render(namespace, table, user)

    assert check_path(path) == path
    assert posixpath.normpath(f"/root/{path}") == f"/root/{path}"
    for segment in path.split("/"):
        assert len(segment) <= 255
        assert not segment.endswith((".", " "))


@pytest.mark.parametrize(
    ("template", "of_users", "message"),
    [
        ("", False, "1 to 500"),
        ("{namespace}/{tableName}", True, "lacks {userId}"),
        ("{namespace}/{userId}", True, "lacks {tableName}"),
        ("{tableName}", False, "lacks {namespace}"),
        ("{namespace}/{tableName}/{userId}", False, "leave it out"),
        ("{namespace}/{tableName}/{shard}", False, "leave it out"),
        ("{tableName}/{namespace}", False, "in the order"),
        ("{namespace}/{tableName}/{userId}/{shard}", True, "in the order"),
        ("{userId}/{namespace}/{tableName}", True, "in the order"),
        ("{namespace}/{namespace}/{tableName}", False, "twice"),
        ("{namespace}_{tableName}", False, "two variables without a /"),
        ("{namespace}/{table}", False, "unknown variable"),
        ("{namespace}/{tableName", False, "brace"),
        ("{namespace}}/{tableName}", False, "brace"),
        ("{{namespace}}/{tableName}", False, "brace"),
        ("/{namespace}/{tableName}", False, "no / at its ends"),
        ("{namespace}/{tableName}/", False, "no / at its ends"),
        ("{namespace}//{tableName}", False, "no two in a row"),
        ("../{namespace}/{tableName}", False, "segments that are . or .."),
        ("{namespace}/../{tableName}", False, "segments that are . or .."),
        ("{namespace}/./{tableName}", False, "segments that are . or .."),
        ("{namespace}/{tableName}/x.", False, "end in a dot"),
        ("{namespace}/{tableName}.", False, "end in a dot"),
        ("{namespace}/{tableName}/a b", False, "letters of ASCII"),
        ("{namespace}/{tableName}/a%2f", False, "letters of ASCII"),
        ("{namespace}/{tableName}/~", False, "letters of ASCII"),
        ("{namespace}\\{tableName}", False, "letters of ASCII"),
        ("{namespace}/{tableName}/\0", False, "letters of ASCII"),
        ("{namespace}/{tableName}/é", False, "letters of ASCII"),
        ("{namespace}/{tableName}" + "x" * 51, False, "up to 50"),
        ("x/" * 300, False, "1 to 500"),
    ],
)
def test_a_template_that_cannot_be_says_what_can(template, of_users, message):
    with pytest.raises(InvalidDefinition, match=message.replace("{", "\\{").replace("..", "\\.\\.")):
        parse_template(template, of_users=of_users)


@pytest.mark.parametrize(
    ("shared", "user"),
    [
        ("{namespace}/x/{tableName}", "{namespace}/{tableName}/{userId}"),
        ("x/{namespace}/{tableName}", "{namespace}/{tableName}/{userId}"),
        ("{namespace}/{tableName}", "{namespace}/x/{tableName}/{userId}"),
        ("{namespace}/{tableName}", "{namespace}/X/{tableName}/{userId}"),
        ("a{namespace}/{tableName}", "{namespace}/{tableName}/{userId}"),
    ],
)
def test_templates_whose_folders_could_meet_are_refused(shared, user):
    with pytest.raises(InvalidDefinition, match="could give two tables one folder"):
        check_apart(parse_template(shared, of_users=False), parse_template(user, of_users=True))


@pytest.mark.parametrize(
    ("shared", "user"),
    [
        (SHARED_DEFAULT, USER_DEFAULT),
        ("shared/{namespace}/{tableName}", "users/{namespace}/{tableName}/{userId}"),
        ("{namespace}/{tableName}/all", "{namespace}/{tableName}/{shard}/{userId}"),
        ("s={namespace}/{tableName}", "u={namespace}/x/{tableName}/{userId}"),
    ],
)
def test_templates_that_stay_apart_are_taken(shared, user):
    check_apart(parse_template(shared, of_users=False), parse_template(user, of_users=True))

"""The permission table, as far as storages, backup and the data of single users go."""

from __future__ import annotations

import pytest

from kalamdb.auth import Action, Role, authorize
from kalamdb.auth.permissions import PERMISSIONS
from kalamdb.errors import AccessDenied
from kalamdb.execution.execute import ACTIONS, EXECUTORS, authorize_beforehand
from kalamdb.sql.backup import Backup, EraseUserData, ExportUserData, Restore
from kalamdb.sql.storage import (
    AlterStorage,
    CheckStorage,
    CreateStorage,
    DropStorage,
    ShowStorages,
    StorageParts,
)

ADMINISTRATORS = {"dba", "system"}
STATEMENTS = [
    (CreateStorage("s", StorageParts("s3", "s3://bucket")), ADMINISTRATORS),
    (AlterStorage("s", StorageParts()), ADMINISTRATORS),
    (DropStorage("s"), ADMINISTRATORS),
    (CheckStorage("s"), ADMINISTRATORS),
    (ShowStorages(), ADMINISTRATORS),
    (Backup("s3://bucket"), ADMINISTRATORS),
    (Restore("s3://bucket"), ADMINISTRATORS),
    (EraseUserData("alice"), ADMINISTRATORS),
    (ExportUserData("alice", "x"), {"user", "service", "dba", "system"}),
]


def test_every_action_is_in_the_table():
    assert set(PERMISSIONS) == set(Action)


def test_every_statement_with_a_right_of_its_own_has_an_executor():
    assert set(ACTIONS) <= set(EXECUTORS)


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize(("statement", "allowed"), STATEMENTS, ids=lambda value: type(value).__name__)
def test_a_role_may_what_the_table_says(role, statement, allowed):
    if role.value in allowed:
        authorize_beforehand(statement, role)
    else:
        with pytest.raises(AccessDenied, match=f"role {role.value} may not"):
            authorize_beforehand(statement, role)


@pytest.mark.parametrize("role", list(Role))
def test_the_data_of_another_user_is_for_administrators(role):
    if role.value in ADMINISTRATORS:
        authorize(role, Action.EXPORT_ANY_DATA)
    else:
        with pytest.raises(AccessDenied, match="export the data of another user"):
            authorize(role, Action.EXPORT_ANY_DATA)

"""The permission table, cell by cell: written here by hand from the specification, and compared."""

from __future__ import annotations

import pytest

from kalamdb.auth import BY_ROLE, Action, Role, authorize
from kalamdb.auth.permissions import ACTS_AS, ROW_ACTIONS, ROWS, STATEMENTS, Reach
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
EVERYBODY = {"user", "service", "dba", "system"}
BY_HAND = """
                          user      service   dba  system
own select                yes       yes       yes  yes
own insert                yes       yes       yes  yes
own update                yes       yes       yes  yes
own delete                yes       yes       yes  yes
public select             yes       yes       yes  yes
public insert             grant     yes       yes  yes
public update             grant     yes       yes  yes
public delete             grant     yes       yes  yes
private select            no        yes       yes  yes
private insert            no        yes       yes  yes
private update            no        yes       yes  yes
private delete            no        yes       yes  yes
restricted select         grant     grant     yes  yes
restricted insert         grant     grant     yes  yes
restricted update         grant     grant     yes  yes
restricted delete         grant     grant     yes  yes
grant                     no        no        yes  yes
create_table              no        yes       yes  yes
alter_table               no        yes       yes  yes
drop_table                no        no        yes  yes
create_view               no        yes       yes  yes
drop_view                 no        yes       yes  yes
change_namespace          no        no        yes  yes
flush                     no        yes       yes  yes
see_all_jobs              no        yes       yes  yes
kill_job                  no        no        yes  yes
see_all_statistics        no        yes       yes  yes
see_all_live_queries      no        yes       yes  yes
kill_any_live_query       no        no        yes  yes
change_storage            no        no        yes  yes
backup                    no        no        yes  yes
export_own_data           yes       yes       yes  yes
export_any_data           no        no        yes  yes
erase_data                no        no        yes  yes
read_all_users            no        no        yes  yes
read_administration       no        no        yes  yes
change_own_account        yes       yes       yes  yes
change_users              no        no        yes  yes
change_system_users       no        no        no   yes
"""
STATEMENTS_WITH_A_RIGHT = [
    (CreateStorage("s", StorageParts("s3", "s3://bucket")), ADMINISTRATORS),
    (AlterStorage("s", StorageParts()), ADMINISTRATORS),
    (DropStorage("s"), ADMINISTRATORS),
    (CheckStorage("s"), ADMINISTRATORS),
    (ShowStorages(), ADMINISTRATORS),
    (Backup("s3://bucket"), ADMINISTRATORS),
    (Restore("s3://bucket"), ADMINISTRATORS),
    (EraseUserData("alice"), ADMINISTRATORS),
    (ExportUserData("alice", "x"), EVERYBODY),
]


def test_the_table_is_the_one_written_by_hand():
    words = {"no": "no", "by grant": "grant", "yes": "yes"}
    found = {}
    for reach, actions in ROWS.items():
        for action, rules in actions.items():
            found[f"{reach.name} {action.name}".lower()] = [words[rules[role].value] for role in Role]
    for action, rules in STATEMENTS.items():
        found[action.name.lower()] = [words[rules[role].value] for role in Role]
    wanted = {}
    for line in BY_HAND.strip().splitlines()[1:]:
        *name, user, service, dba, system = line.split()
        wanted[" ".join(name)] = [user, service, dba, system]
    assert found == wanted


def test_every_action_and_every_reach_is_in_the_table():
    assert set(STATEMENTS) | set(ROW_ACTIONS) == set(Action)
    assert set(ROWS) == set(Reach)
    assert all(set(actions) == set(ROW_ACTIONS) for actions in ROWS.values())


def test_nobody_acts_as_a_user_of_a_role_above_its_own():
    order = list(Role)
    for role, subjects in ACTS_AS.items():
        assert all(order.index(subject) <= order.index(role) for subject in subjects)
    assert ACTS_AS[Role.USER] == frozenset()


def test_every_statement_with_a_right_of_its_own_has_an_executor():
    assert set(ACTIONS) <= set(EXECUTORS)


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize(
    ("statement", "allowed"), STATEMENTS_WITH_A_RIGHT, ids=lambda value: type(value).__name__
)
def test_a_role_may_what_the_table_says(role, statement, allowed):
    if role.value in allowed:
        authorize_beforehand(statement, BY_ROLE[role])
    else:
        with pytest.raises(AccessDenied, match=f"role {role.value} may not"):
            authorize_beforehand(statement, BY_ROLE[role])


@pytest.mark.parametrize("role", list(Role))
def test_the_data_of_another_user_is_for_administrators(role):
    if role.value in ADMINISTRATORS:
        authorize(BY_ROLE[role], Action.EXPORT_ANY_DATA)
    else:
        with pytest.raises(AccessDenied, match="export the data of another user"):
            authorize(BY_ROLE[role], Action.EXPORT_ANY_DATA)

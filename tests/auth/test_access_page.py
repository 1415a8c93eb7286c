"""docs/access.md shows the permission table as the code has it: this renders the one and compares."""

from __future__ import annotations

from pathlib import Path

from kalamdb.auth.permissions import ACTS_AS, ROW_ACTIONS, ROWS, STATEMENTS, Role

PAGE = Path(__file__).parents[2] / "docs" / "access.md"


def rendered() -> str:
    """The tables of the page."""
    head = "| | " + " | ".join(role.value for role in Role) + " |\n| --- | --- | --- | --- | --- |\n"
    lines = [
        f"| {reach.value}: {', '.join(action.name for action in actions)} | "
        + " | ".join(rule.value for rule in rules)
        + " |"
        for reach, table in ROWS.items()
        for rules, actions in _alike(table)
    ]
    lines += [
        f"| {action.value} | " + " | ".join(rules[role].value for role in Role) + " |"
        for action, rules in STATEMENTS.items()
    ]
    acts = " | ".join(
        ", ".join(role.value for role in Role if role in ACTS_AS[one]) or "itself" for one in Role
    )
    lines.append(f"| EXECUTE AS USER, of role | {acts} |")
    return head + "\n".join(lines) + "\n"


def _alike(table):
    """Actions that have the same rules, together."""
    found = {}
    for action in ROW_ACTIONS:
        found.setdefault(tuple(table[action][role] for role in Role), []).append(action)
    return found.items()


def test_the_page_shows_the_table_of_the_code():
    assert rendered() in PAGE.read_text(encoding="utf-8")

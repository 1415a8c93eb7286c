"""The page of the proofs: whose figures it has, and that a run leaves those of others alone."""

from __future__ import annotations

from pathlib import Path

from tests.crash import page


def test_a_line_is_replaced_and_the_others_stay_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "proof.md"
    names = ["kills", "bits", "torn-tails"]
    path.write_text(
        page.written({"torn-tails": page.line("torn-tails", "what", "1", "0 wrong", "1 s", "7")}, names)
    )

    lines = page.lines(path)
    lines["kills"] = page.line("kills", "what", "300", "0 lost", "9 s", "8")
    path.write_text(page.written(lines, names))

    assert path.read_text().splitlines()[-3:] == [
        "| `kills` | what | 300 | 0 lost | 9 s | 8 |",
        "| `bits` | not tried yet |  |  |  |  |",
        "| `torn-tails` | what | 1 | 0 wrong | 1 s | 7 |",
    ]


def test_it_names_the_seed_and_how_much_was_run() -> None:
    assert page.machine(17, 1).startswith("17, ")
    assert page.machine(17, 10).startswith("17, 10 times as much, ")

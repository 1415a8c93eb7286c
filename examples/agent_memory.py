"""Memory for an agent: what was said, what is worth keeping of it, and only of the user who asks.

The loop is that of any program around a language model: recall, ask the model, keep what both said. The model here is a
few lines that need no network; put a real one in its place. Run it with

    python examples/agent_memory.py
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass

import kalamdb

RECALLED_TURNS = 6
"""The last ones, word by word; older ones are in the summary."""
SUMMARY_EVERY_TURNS = 8

TABLES = (
    "CREATE NAMESPACE IF NOT EXISTS agent",
    """CREATE USER TABLE IF NOT EXISTS agent.turns (
        id      BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(),
        role    TEXT NOT NULL,
        content TEXT NOT NULL,
        at      TIMESTAMP DEFAULT NOW()
    )""",
    """CREATE USER TABLE IF NOT EXISTS agent.summaries (
        id       BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(),
        up_to    BIGINT NOT NULL,
        content  TEXT NOT NULL
    )""",
)


@dataclass(frozen=True)
class Recollection:
    """What the model is given besides the question. `turns`: (role, content), the oldest first."""

    summary: str
    turns: Sequence[tuple[str, str]]


class Memory:
    """One user's memory. The session decides whose; nothing that a model says can reach another's."""

    def __init__(self, session: kalamdb.Session) -> None:
        self._session = session

    def recall(self) -> Recollection:
        """The newest summary and the last turns, as of one moment."""
        with self._session.transaction():
            summary = self._session.execute(
                "SELECT content FROM agent.summaries ORDER BY id DESC LIMIT 1"
            ).fetchone()
            newest_first = self._session.execute(
                "SELECT role, content FROM agent.turns ORDER BY id DESC LIMIT ?", [RECALLED_TURNS]
            ).fetchall()
        return Recollection(summary[0] if summary else "", newest_first[::-1])

    def keep(self, question: str, answer: str) -> None:
        """A question and its answer, both or neither."""
        self._session.executemany(
            "INSERT INTO agent.turns (role, content) VALUES (?, ?)", [("user", question), ("agent", answer)]
        )

    def not_summarized(self) -> list[tuple[int, str, str]]:
        """(id, role, content) of every turn since the last summary."""
        ((up_to,),) = self._session.execute("SELECT coalesce(max(up_to), 0) FROM agent.summaries").fetchall()
        return self._session.execute(
            "SELECT id, role, content FROM agent.turns WHERE id > ? ORDER BY id", [up_to]
        ).fetchall()

    def summarize(self, up_to: int, content: str) -> None:
        """Keeps a summary of all turns up to this id."""
        self._session.execute("INSERT INTO agent.summaries (up_to, content) VALUES (?, ?)", [up_to, content])


class Model:
    """Stands for a language model: it answers from what it is given and from nothing else."""

    def answer(self, question: str, given: Recollection) -> str:
        """Says what it was told before about what it is asked for."""
        wanted = question.rstrip("?").split()[-1]
        told = [given.summary, *[content for role, content in given.turns if role == "user"]]
        for text in reversed(told):
            for sentence in reversed(text.split(". ")):
                if question.endswith("?") and f"my {wanted} is" in sentence:
                    return f"You told me: {sentence.strip('. ')}."
        return "I do not know that." if question.endswith("?") else "I will remember."

    def summarize(self, before: str, turns: Sequence[str]) -> str:
        """What it keeps of the turns: what the user said of themselves."""
        return ". ".join(
            [*filter(None, [before]), *[text.rstrip(".") for text in turns if text.startswith("my ")]]
        )


def turn(memory: Memory, model: Model, question: str) -> str:
    """One round of the loop."""
    given = memory.recall()
    answer = model.answer(question, given)
    memory.keep(question, answer)
    waiting = memory.not_summarized()
    if len(waiting) >= SUMMARY_EVERY_TURNS:
        said = [content for _, role, content in waiting if role == "user"]
        memory.summarize(waiting[-1][0], model.summarize(given.summary, said))
    return answer


def main() -> None:
    """Two users and one agent."""
    with tempfile.TemporaryDirectory() as directory, kalamdb.open(directory) as db:
        for statement in TABLES:
            db.execute(statement)
        model = Model()
        ann, ben = Memory(db.session("ann")), Memory(db.session("ben"))
        for said in (
            "my cat is Mia.",
            "my city is Lisbon.",
            *[f"it rains, day {day}." for day in range(1, 8)],
        ):
            turn(ann, model, said)
        for name, memory in (("ann", ann), ("ben", ben)):
            print(f"{name}: what is my cat?\nagent: {turn(memory, model, 'what is my cat?')}")
        print(f"summary of ann: {ann.recall().summary}")
        ((count,),) = db.execute("SELECT count(*) FROM all_users.agent.turns").fetchall()
        print(f"{count} turns of both")


if __name__ == "__main__":
    main()

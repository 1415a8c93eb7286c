"""The ORM: declared classes, relationships, units of work."""

from __future__ import annotations

import datetime
import uuid

import pytest
from sqlalchemy import JSON, DateTime, ForeignKey, String, exc, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship, selectinload
from sqlalchemy.orm.exc import StaleDataError

from kalamdb.errors import SerializationFailure


class Base(DeclarativeBase):
    """Of the classes below."""


class Conversation(Base):
    """Some messages."""

    __tablename__ = "conversations"
    __table_args__ = {"kalamdb_kind": "user"}  # noqa: RUF012

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(100))
    details: Mapped[dict | None] = mapped_column(JSON)
    at: Mapped[datetime.datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    version: Mapped[int] = mapped_column(default=1)
    messages: Mapped[list[Message]] = relationship(
        back_populates="conversation", cascade="all, delete-orphan"
    )

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012


class Message(Base):
    """One of them."""

    __tablename__ = "messages"
    __table_args__ = {"kalamdb_kind": "user"}  # noqa: RUF012

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    body: Mapped[str]
    conversation_id: Mapped[int] = mapped_column(ForeignKey("conversations.id"))
    conversation: Mapped[Conversation] = relationship(back_populates="messages")


@pytest.fixture
def filled(engine):
    """Three conversations with two messages each."""
    with pytest.warns(exc.SAWarning, match="foreign keys"):
        Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all(
            Conversation(
                title=f"c{number}",
                details={"tags": ["new", number]},
                messages=[Message(body="hi"), Message(body="bye")],
            )
            for number in range(3)
        )
        session.commit()
    return engine


def test_what_was_added_is_found_with_its_relations(filled):
    with Session(filled) as session:
        found = session.scalars(
            select(Conversation).options(selectinload(Conversation.messages)).order_by(Conversation.id)
        ).all()

        assert [one.title for one in found] == ["c0", "c1", "c2"]
        assert [sorted(message.body for message in one.messages) for one in found] == [["bye", "hi"]] * 3
        assert found[0].details == {"tags": ["new", 0]}
        assert found[0].at.utcoffset() == datetime.timedelta(0)
        assert session.get(Conversation, found[1].id) is found[1]
        joined = select(Message).join(Message.conversation).where(Conversation.title == "c1")
        assert {message.conversation.title for message in session.scalars(joined)} == {"c1"}
        one = found[0].messages[0]
        assert session.get(Message, one.id) is one
        by_tag = select(Conversation.title).where(Conversation.details[("tags", 1)].as_integer() == 2)
        assert session.scalars(by_tag).all() == ["c2"]


def test_changes_and_deletions_are_written(filled):
    with Session(filled) as session:
        first, second, _ = session.scalars(select(Conversation).order_by(Conversation.id)).all()
        first.title = "renamed"
        first.messages[0].body = "changed"
        session.delete(second)
        session.commit()
    with Session(filled) as session:
        assert session.scalars(select(Conversation.title).order_by(Conversation.id)).all() == [
            "renamed",
            "c2",
        ]
        assert session.scalar(select(func.count()).select_from(Message)) == 4
        assert session.scalar(select(func.count()).where(Message.body == "changed")) == 1


def test_rolling_back_forgets(filled):
    with Session(filled) as session:
        session.add(Conversation(title="never"))
        session.flush()
        session.rollback()

        assert session.scalar(select(func.count()).select_from(Conversation)) == 3


def test_who_commits_second_is_told(filled):
    with Session(filled) as one, Session(filled) as other:
        for session in (one, other):
            session.scalars(select(Conversation).where(Conversation.title == "c0")).one().title = "mine"
        other.commit()
        with pytest.raises(exc.OperationalError) as raised:
            one.commit()
        assert isinstance(raised.value.orig, SerializationFailure)


def test_versions_of_rows_are_looked_after(filled):
    with Session(filled) as session:
        one = session.scalars(select(Conversation).where(Conversation.title == "c0")).one()
        assert one.version == 1
        session.execute(Conversation.__table__.update().values(version=7))
        one.title = "stale"
        with pytest.raises(StaleDataError):
            session.commit()


def test_bulk_statements_go_through_the_orm(filled):
    with Session(filled) as session:
        keys = session.scalars(
            Conversation.__table__.insert().returning(Conversation.id),
            [{"title": f"many {number}", "version": 1} for number in range(1_200)],
        ).all()
        assert len(set(keys)) == 1_200
        session.execute(Message.__table__.delete())
        session.commit()

        assert session.scalar(select(func.count()).select_from(Conversation)) == 1_203

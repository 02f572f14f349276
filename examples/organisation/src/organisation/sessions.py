"""Who is signed in: a table by hand, whose rows go with the user."""

from pydantic import Field
from sqlalchemy import Column, ForeignKey, Index

from organisation.declaration import organisation
from synthorg.persistence.extension import (
    Entity,
    Key,
    KeyedRepository,
    ListQuery,
    UtcDatetime,
    now,
    tables,
    types,
)


class Session(Entity):
    """A user who has signed in, known by the digest of a token."""

    token_hash: Key
    user_id: Key
    created_at: UtcDatetime = Field(default_factory=now)
    expires_at: UtcDatetime
    revoked: bool = False


sessions = organisation.declare(
    "sessions",
    Column("token_hash", types.ShortText(64), primary_key=True),
    Column(
        "user_id",
        types.ShortText(255),
        ForeignKey(tables.users.c.id, ondelete="CASCADE"),
        nullable=False,
    ),
    Column("created_at", types.utc_datetime(), nullable=False),
    Column("expires_at", types.utc_datetime(), nullable=False),
    Column("revoked", types.flag("revoked"), nullable=False),
    Index(None, "user_id", "created_at", "token_hash"),
)


class SessionRepository(KeyedRepository[Session]):
    """The sessions of one user, the newest first."""

    table = sessions
    record = Session
    kept = frozenset({"created_at"})
    listing = ListQuery(
        table,
        record,
        order_by=("created_at", "token_hash"),
        descending=True,
        required=("user_id",),
    )

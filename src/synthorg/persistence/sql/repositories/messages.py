"""Messages."""

from typing import Any

from sqlalchemy import Select, Table, func, select

from synthorg.entities import Message, NotBlankStr
from synthorg.persistence.sql import tables
from synthorg.persistence.sql.repositories.base import NumberedRepository
from synthorg.persistence.sql.statements.queries import ListQuery
from synthorg.persistence.sql.statements.statement import from_expression
from synthorg.persistence.sql.tables import NUMBER
from synthorg.persistence.stores import MessageStore


def _channels_of(table: Table) -> Select[Any]:
    """Select each channel once, by one step through the index for each."""
    first = select(func.min(table.c.channel).label("channel")).cte("channels", recursive=True)
    others = table.alias("others")
    following = select(func.min(others.c.channel)).where(others.c.channel > first.c.channel)
    channels = first.union_all(
        select(following.scalar_subquery()).where(first.c.channel.is_not(None))
    )
    return select(channels.c.channel).where(channels.c.channel.is_not(None))


class SQLMessageRepository(NumberedRepository[Message], MessageStore):
    """`MessageRepository` on SQL."""

    table = tables.messages
    record = Message

    listing = ListQuery(
        table, record, order_by=("timestamp", NUMBER), descending=True, required=("channel",)
    )

    _channels = from_expression("list", table, _channels_of(table))

    async def save(self, message: Message) -> None:
        await self._save(message)

    async def get_history(
        self, channel: NotBlankStr, *, limit: int | None = None
    ) -> tuple[Message, ...]:
        return await self._list(self.listing, {"channel": channel}, limit=limit)

    async def channels(self) -> tuple[NotBlankStr, ...]:
        rows = await self._executor.for_lists.fetch(self._channels, {})
        return tuple(sorted(channel for (channel,) in rows))

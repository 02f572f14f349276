"""Messages."""

from synthorg.entities import Message, NotBlankStr
from synthorg.persistence.sql import tables
from synthorg.persistence.sql.repositories.base import NumberedRepository
from synthorg.persistence.sql.statements.queries import ListQuery
from synthorg.persistence.sql.tables import NUMBER
from synthorg.persistence.stores import MessageStore


class SQLMessageRepository(NumberedRepository[Message], MessageStore):
    """`MessageRepository` on SQL."""

    table = tables.messages
    record = Message

    listing = ListQuery(
        table, record, order_by=("timestamp", NUMBER), descending=True, required=("channel",)
    )

    async def save(self, message: Message) -> None:
        await self._save(message)

    async def get_history(
        self, channel: NotBlankStr, *, limit: int | None = None
    ) -> tuple[Message, ...]:
        return await self._list(self.listing, {"channel": channel}, limit=limit)

"""Users and their API keys."""

from collections.abc import Collection

from sqlalchemy import func, select
from typing_extensions import override

from synthorg.entities import SYSTEM_USER_ID, ApiKey, HumanRole, NotBlankStr, User
from synthorg.persistence.errors import InvalidArgumentError
from synthorg.persistence.sql import tables
from synthorg.persistence.sql.repositories.base import KeyedRepository
from synthorg.persistence.sql.statements.queries import ListQuery
from synthorg.persistence.sql.statements.statement import (
    equal,
    field_names,
    from_expression,
    selection,
)
from synthorg.persistence.stores import ApiKeyStore, UserStore

_is_human = tables.users.c.role != HumanRole.SYSTEM.value


class SQLUserRepository(KeyedRepository[User], UserStore):
    """`UserRepository` on SQL."""

    table = tables.users
    record = User
    kept = frozenset({"created_at"})

    listing = ListQuery(table, record, order_by=("created_at", "id"), where=[_is_human])
    _by_username = selection(table, field_names(record), ["username"])
    _human_count = from_expression("count", table, select(func.count()).where(_is_human))
    _count_by_role = from_expression(
        "count", table, select(func.count()).where(equal(table, "role", kind=HumanRole))
    )

    async def save(self, user: User) -> None:
        await self._save(user)

    async def get(self, user_id: NotBlankStr) -> User | None:
        return await self._get(user_id)

    async def get_by_username(self, username: NotBlankStr) -> User | None:
        return await self._first(self._by_username, {"username": username})

    async def list_users(self) -> tuple[User, ...]:
        return await self._list(self.listing)

    async def count(self) -> int:
        return int(await self._scalar(self._human_count))

    async def count_by_role(self, role: HumanRole) -> int:
        return int(await self._scalar(self._count_by_role, role=role))

    async def delete(self, user_id: NotBlankStr) -> bool:
        self._check_deletable([user_id])
        return await self._delete(user_id)

    @override
    def _check_deletable(self, keys: Collection[str]) -> None:
        if SYSTEM_USER_ID in keys:
            raise InvalidArgumentError(
                f"cannot delete {self.table.name}: the system user must stay"
            )


class SQLApiKeyRepository(KeyedRepository[ApiKey], ApiKeyStore):
    """`ApiKeyRepository` on SQL."""

    table = tables.api_keys
    record = ApiKey
    kept = frozenset({"created_at"})

    _by_user = ListQuery(
        table, record, order_by=("created_at", "id"), descending=True, required=("user_id",)
    )
    listing = ListQuery(
        table,
        record,
        order_by=("created_at", "id"),
        descending=True,
        filters=("user_id",),
        by_place=("user_id",),
    )
    _by_hash = selection(table, field_names(record), ["key_hash"])

    async def save(self, key: ApiKey) -> None:
        await self._save(key)

    async def get(self, key_id: NotBlankStr) -> ApiKey | None:
        return await self._get(key_id)

    async def get_by_hash(self, key_hash: NotBlankStr) -> ApiKey | None:
        return await self._first(self._by_hash, {"key_hash": key_hash})

    async def list_by_user(self, user_id: NotBlankStr) -> tuple[ApiKey, ...]:
        return await self._list(self._by_user, {"user_id": user_id})

    async def list_keys(self) -> tuple[ApiKey, ...]:
        return await self._list(self.listing)

    async def delete(self, key_id: NotBlankStr) -> bool:
        return await self._delete(key_id)

"""Work that must be done once, however often somebody asks for it."""

from contextlib import suppress
from enum import StrEnum

from pydantic import Field

from organisation.declaration import organisation
from synthorg.persistence import DuplicateRecordError
from synthorg.persistence.extension import (
    Entity,
    Key,
    KeyedRepository,
    ListQuery,
    Text,
    UtcDatetime,
    now,
    random_id,
)


class ClaimStatus(StrEnum):
    """How far the work is."""

    CLAIMED = "claimed"
    COMPLETED = "completed"
    FAILED = "failed"


class IdempotencyKey(Entity):
    """A claim to the work of a key; whoever holds the token is doing it."""

    key: Key
    token: Key = Field(default_factory=random_id)
    status: ClaimStatus = ClaimStatus.CLAIMED
    claimed_at: UtcDatetime = Field(default_factory=now)
    answer: Text = ""


idempotency_keys = organisation.table(
    IdempotencyKey,
    name="idempotency_keys",
    key="key",
    indexes=[("status", "claimed_at", "key")],
)


class IdempotencyKeyRepository(KeyedRepository[IdempotencyKey]):
    """The keys, the oldest claim first."""

    table = idempotency_keys
    record = IdempotencyKey
    listing = ListQuery(table, record, order_by=("claimed_at", "key"), filters=("status",))

    async def claim(self, claim: IdempotencyKey) -> bool:
        """Claim a key that is new, or whose work has failed, and tell whether that succeeded."""
        with suppress(DuplicateRecordError):
            await self.insert(claim)
            return True
        return await self.swap(claim, status=ClaimStatus.FAILED)

    async def settle(self, claim: IdempotencyKey, status: ClaimStatus, answer: str = "") -> bool:
        """Complete or fail the work, and tell whether the claim still held."""
        settled = claim.model_copy(update={"status": status, "answer": answer})
        return await self.swap(settled, token=claim.token, status=ClaimStatus.CLAIMED)

"""What is taken for more or less risky than usual, until when."""

from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator
from sqlalchemy import bindparam

from organisation.declaration import organisation
from synthorg.persistence.extension import (
    Entity,
    Key,
    KeyedRepository,
    ListQuery,
    Summary,
    UtcDatetime,
    now,
    random_id,
)


class RiskLevel(StrEnum):
    """How much could go wrong."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class RiskOverride(Entity):
    """Another level of risk than usual for an action, as somebody has set it for some time."""

    id: Key = Field(default_factory=random_id)
    action: Key
    level: RiskLevel
    set_by: Key
    reason: Summary
    since: UtcDatetime = Field(default_factory=now)
    expires_at: UtcDatetime

    @model_validator(mode="after")
    def _expires_after_it_begins(self) -> Self:
        if self.expires_at <= self.since:
            raise ValueError("expires_at must be after since")
        return self


risk_overrides = organisation.table(
    RiskOverride,
    name="risk_overrides",
    key="id",
    indexes=[("expires_at", "id"), ("action", "expires_at", "id")],
)

MOMENT = bindparam("moment", type_=risk_overrides.c.expires_at.type, required=True)


class RiskOverrideRepository(KeyedRepository[RiskOverride]):
    """The overrides that are in force at a moment, those that expire first at the head."""

    table = risk_overrides
    record = RiskOverride
    listing = ListQuery(
        table,
        record,
        order_by=("expires_at", "id"),
        filters=("action",),
        where=[table.c.since <= MOMENT, table.c.expires_at > MOMENT],
    )

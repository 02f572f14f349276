"""How agents have done in their training."""

from pydantic import Field

from organisation.declaration import organisation
from synthorg.persistence.extension import (
    AppendOnlyRepository,
    Entity,
    Fraction,
    JsonObject,
    Key,
    ListQuery,
    UtcDatetime,
    now,
    random_id,
)


class TrainingResult(Entity):
    """What an agent has achieved in one exercise."""

    id: Key = Field(default_factory=random_id)
    agent_id: Key
    exercise: Key
    score: Fraction
    passed: bool
    finished_at: UtcDatetime = Field(default_factory=now)
    details: JsonObject = Field(default_factory=dict)


training_results = organisation.table(
    TrainingResult,
    name="training_results",
    key="id",
    indexes=[("agent_id", "finished_at", "id"), ("finished_at", "id")],
)


class TrainingResultRepository(AppendOnlyRepository[TrainingResult]):
    """The results, the newest first."""

    table = training_results
    record = TrainingResult
    listing = ListQuery(
        table,
        record,
        order_by=("finished_at", "id"),
        descending=True,
        filters=("agent_id",),
        time="finished_at",
    )

"""Parts that several workflows share, under optimistic concurrency."""

from pydantic import Field

from organisation.declaration import organisation
from synthorg.persistence.extension import (
    Entity,
    JsonObject,
    Key,
    ListQuery,
    NotBlankStr,
    UtcDatetime,
    Version,
    VersionedRepository,
    now,
    random_id,
    tables,
)


class SubworkflowNode(Entity):
    """One step of a sub-workflow."""

    id: Key
    kind: NotBlankStr
    settings: JsonObject = Field(default_factory=dict)


class Subworkflow(Entity):
    """A part of a workflow definition that has a version of its own."""

    id: Key = Field(default_factory=random_id)
    definition_id: Key
    version: Version = 1
    name: NotBlankStr
    nodes: tuple[SubworkflowNode, ...] = ()
    updated_at: UtcDatetime = Field(default_factory=now)


subworkflows = organisation.table(
    Subworkflow,
    name="subworkflows",
    key="id",
    indexes=[("definition_id", "id")],
    references={"definition_id": tables.workflow_definitions.c.id},
)


class SubworkflowRepository(VersionedRepository[Subworkflow]):
    """The sub-workflows of one definition."""

    table = subworkflows
    record = Subworkflow
    listing = ListQuery(table, record, order_by=("id",), required=("definition_id",))

"""What agents produce: the record of an artifact, beside its content in artifact storage."""

from enum import StrEnum

from synthorg.entities.base import Count, Entity, Key, NotBlankStr, Text, UtcDatetime


class ArtifactType(StrEnum):
    """What kind of work an artifact is."""

    CODE = "code"
    TESTS = "tests"
    DOCUMENTATION = "documentation"


class Artifact(Entity):
    """A piece of work that a task produced."""

    id: Key
    type: ArtifactType
    path: NotBlankStr
    task_id: Key
    created_by: Key
    description: Text = ""
    project_id: Key | None = None
    content_type: Text = ""
    size_bytes: Count = 0
    created_at: UtcDatetime | None = None

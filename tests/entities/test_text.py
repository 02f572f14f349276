"""Which text each field admits."""

import re
from typing import Final

import pytest
from hypothesis import given as for_all

from synthorg.entities import (
    AcceptanceCriterion,
    AgentLifecycleEvent,
    AgentRuntimeState,
    ApiKey,
    Artifact,
    Attachment,
    AuditEntry,
    Checkpoint,
    CollaborationMetricRecord,
    CostRecord,
    ExpectedArtifact,
    Heartbeat,
    Message,
    MessageMetadata,
    ParkedContext,
    Project,
    Task,
    TaskMetricRecord,
    User,
    WorkflowDefinition,
    WorkflowEdge,
    WorkflowExecution,
    WorkflowNode,
    WorkflowNodeExecution,
)
from synthorg.entities.base import Entity
from synthorg.persistence.testing.strategies import KEYS
from tests.entities.examples import (
    Fields,
    complaints,
    each_field,
    fields_that_hold,
    given,
    make,
    named,
)

KEY_FIELDS: Final[Fields] = {
    Task: "id project created_by assigned_to parent_task_id"
    " reviewers[] dependencies[] delegation_chain[]",
    CostRecord: "agent_id task_id provider model",
    Message: "sender to channel",
    MessageMetadata: "task_id project_id",
    AgentLifecycleEvent: "id agent_id initiated_by",
    TaskMetricRecord: "id agent_id task_id",
    CollaborationMetricRecord: "id agent_id",
    ParkedContext: "id execution_id agent_id approval_id task_id",
    AuditEntry: "id agent_id task_id approval_id",
    User: "id username",
    ApiKey: "id key_hash user_id",
    Checkpoint: "id execution_id agent_id task_id",
    Heartbeat: "execution_id agent_id task_id",
    AgentRuntimeState: "agent_id execution_id task_id",
    Artifact: "id task_id created_by project_id",
    Project: "id lead team[] task_ids[]",
    WorkflowDefinition: "id created_by",
    WorkflowExecution: "id definition_id activated_by project",
    WorkflowNodeExecution: "task_id",
}
NOT_BLANK_FIELDS: Final[Fields] = {
    Task: "title description",
    AcceptanceCriterion: "description",
    ExpectedArtifact: "path",
    Message: "content",
    Attachment: "ref",
    AgentLifecycleEvent: "agent_name",
    AuditEntry: "tool_name reason matched_rules[]",
    ApiKey: "name",
    Artifact: "path",
    Project: "name",
    WorkflowDefinition: "name",
    WorkflowNode: "id label",
    WorkflowEdge: "id source_node_id target_node_id label",
    WorkflowNodeExecution: "node_id skipped_reason",
    WorkflowExecution: "error",
}
SUMMARY_FIELDS: Final[Fields] = {CollaborationMetricRecord: "interaction_summary"}
FREE_FIELDS: Final[Fields] = {
    AgentLifecycleEvent: "details",
    User: "password_hash",
    Artifact: "description content_type",
    Project: "description",
    WorkflowDefinition: "description",
}
LABEL_FIELDS: Final[Fields] = {AuditEntry: "action_type"}
FIELDS_OF_PAIRS: Final[Fields] = {
    AgentLifecycleEvent: "metadata",
    ParkedContext: "metadata",
    MessageMetadata: "extra",
}
FIELDS_WITH_A_FORMAT: Final[Fields] = {
    Task: "deadline",
    Project: "deadline",
    ParkedContext: "context_json",
    Checkpoint: "context_json",
    AuditEntry: "arguments_hash",
    WorkflowNode: "config",
}

NUL: Final = "Value error, must not contain a NUL character"
SURROGATE: Final = "Value error, must not contain a lone surrogate|unable to .* unicode string"
BLANK: Final = "Value error, must not be blank"
UNSTORABLE: Final = [("a\x00b", NUL), ("\x00", NUL), ("a\ud800b", SURROGATE), ("\udfff", SURROGATE)]
BLANKS: Final = ["", " ", "\t\r\n", "\u00a0\u2003"]


def test_every_text_field_is_held_to_one_rule() -> None:
    """A new field has to be added to one of the tables above, and so gets its tests."""
    tables = (
        KEY_FIELDS,
        LABEL_FIELDS,
        NOT_BLANK_FIELDS,
        SUMMARY_FIELDS,
        FREE_FIELDS,
        FIELDS_OF_PAIRS,
        FIELDS_WITH_A_FORMAT,
    )
    assert named(*tables) == fields_that_hold(str)
    assert sum(len(named(table)) for table in tables) == len(named(*tables))


@pytest.mark.parametrize(("text", "reason"), UNSTORABLE)
@each_field(KEY_FIELDS, LABEL_FIELDS, NOT_BLANK_FIELDS, SUMMARY_FIELDS, FREE_FIELDS)
def test_text_that_some_database_cannot_hold_is_refused(
    entity: type[Entity], field: str, text: str, reason: str
) -> None:
    [complaint] = complaints(entity, field, text)
    assert re.search(reason, complaint)


@pytest.mark.parametrize(("text", "reason"), UNSTORABLE)
@each_field(FIELDS_OF_PAIRS)
def test_such_text_is_refused_in_pairs_too(
    entity: type[Entity], field: str, text: str, reason: str
) -> None:
    as_key, as_value = {text: "value"}, {"key": text}
    pairs = list if field == "extra" else dict
    for mapping in (as_key, as_value):
        [complaint] = complaints(entity, field, pairs(mapping.items()))
        assert re.search(reason, complaint)


@pytest.mark.parametrize("text", BLANKS)
@each_field(KEY_FIELDS, NOT_BLANK_FIELDS, SUMMARY_FIELDS)
def test_blank_text_is_refused_where_something_has_to_be_said(
    entity: type[Entity], field: str, text: str
) -> None:
    assert complaints(entity, field, text) == [BLANK]


@pytest.mark.parametrize("text", BLANKS)
@each_field(FREE_FIELDS, LABEL_FIELDS)
def test_blank_text_is_kept_where_nothing_has_to_be_said(
    entity: type[Entity], field: str, text: str
) -> None:
    assert getattr(make(entity, **{field: text}), field) == text


@pytest.mark.parametrize("character", ["a", "é", "🦊"])
@each_field(KEY_FIELDS, LABEL_FIELDS)
def test_an_indexed_text_has_at_most_255_characters(
    entity: type[Entity], field: str, character: str
) -> None:
    """Characters are counted, not bytes."""
    assert complaints(entity, field, character * 255) == []
    assert complaints(entity, field, character * 256) == [
        "String should have at most 255 characters"
    ]


@pytest.mark.parametrize("text", [" a", "a ", "\na\t", "\u200b", "Bo\u0308b"])
@each_field({Task: "id title", Message: "sender content", User: "username password_hash"})
def test_text_is_neither_stripped_nor_normalised(
    entity: type[Entity], field: str, text: str
) -> None:
    assert getattr(make(entity, **given(field, text)), field) == text


@each_field(NOT_BLANK_FIELDS, FREE_FIELDS)
def test_unindexed_text_may_be_long(entity: type[Entity], field: str) -> None:
    """Longer than the 64 KiB at which the text type of some databases ends."""
    assert complaints(entity, field, "ß" * 70_000) == []


def test_a_summary_has_at_most_4096_characters() -> None:
    """The one text with a limit of its own."""
    field = "interaction_summary"
    assert complaints(CollaborationMetricRecord, field, "🦊" * 4096) == []
    assert complaints(CollaborationMetricRecord, field, "🦊" * 4097) == [
        "String should have at most 4096 characters"
    ]


@pytest.mark.parametrize(
    "digest",
    ["", "a" * 63, "a" * 65, "A" * 64, "g" * 64, "a" * 64 + "\n", "\u0663" * 64, " " + "a" * 63],
)
def test_a_digest_other_than_64_lower_case_hexadecimal_digits_is_refused(digest: str) -> None:
    assert complaints(AuditEntry, "arguments_hash", digest) == [
        "String should match pattern '^[0-9a-f]{64}$'"
    ]


def test_a_pair_of_metadata_has_a_key_that_is_not_blank() -> None:
    """The value may be blank."""
    assert make(MessageMetadata, extra=[("key", "")]).extra == (("key", ""),)
    assert complaints(MessageMetadata, "extra", [(" ", "value")]) == [BLANK]


@for_all(KEYS)
def test_any_storable_key_is_kept_exactly(key: str) -> None:
    """Whatever its script, quotes or spaces."""
    assert make(Heartbeat, execution_id=key).execution_id == key

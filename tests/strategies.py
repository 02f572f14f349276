"""Strategies for valid entities, over the whole range of values that each field admits."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final, get_args

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from synthorg.entities import (
    SYSTEM_USER_ID,
    AcceptanceCriterion,
    AgentLifecycleEvent,
    AgentRuntimeState,
    ApiKey,
    ApprovalRiskLevel,
    Artifact,
    ArtifactType,
    Attachment,
    AttachmentType,
    AuditEntry,
    AuditVerdictStr,
    Checkpoint,
    CollaborationMetricRecord,
    Complexity,
    CoordinationTopology,
    CostRecord,
    Entity,
    EvaluationConfidence,
    ExecutionStatus,
    ExpectedArtifact,
    Heartbeat,
    HumanRole,
    LifecycleEventType,
    LLMCallCategory,
    Message,
    MessageMetadata,
    MessagePriority,
    MessageType,
    ParkedContext,
    Priority,
    Project,
    ProjectStatus,
    Task,
    TaskMetricRecord,
    TaskStatus,
    TaskStructure,
    TaskType,
    ToolCategory,
    User,
    WorkflowDefinition,
    WorkflowEdge,
    WorkflowEdgeType,
    WorkflowExecution,
    WorkflowExecutionStatus,
    WorkflowNode,
    WorkflowNodeExecution,
    WorkflowNodeExecutionStatus,
    WorkflowNodeType,
    WorkflowType,
)
from synthorg.entities.base import (
    EARLIEST_TIME,
    LARGEST_INTEGER,
    LATEST_TIME,
    LONGEST_KEY,
    LONGEST_SUMMARY,
)
from synthorg.entities.json_text import DEEPEST_JSON

AWKWARD_TEXTS: Final = (
    "O'Brien",
    '"quoted"',
    "back\\slash\\",
    "trailing  ",
    " leading",
    "two\r\nlines\tand a tab",
    "100 %s %(name)s",
    ":name ? $1 {0}",
    "'; DROP TABLE tasks; --",
    "Bob",
    "bob",
    "Böb",
    "Bo\u0308b",
    "\u0130\u0131\u00df",
    "🦊 👩\u200d👩\u200d👧",
    "\u200b",
    "\ufeff\uffff\U0010ffff",
    "null",
    "NaN",
    "\\u0000",
)
"""Texts that quoting, collation, encoding or interpolation has got wrong somewhere before."""

AWKWARD_OBJECTS: Final = (
    "{}",
    ' {"b" :1 ,\t"a": 2}\n',
    '{"same": 1, "same": 2}',
    '{"escapes": "\\u0000\\ud800\\/\\u00e9"}',
    '{"numbers": [1e999, -0.0, 1E+2, 123456789012345678901234567890]}',
    '{"longer than 64 KiB": "' + "ß🦊\\n" * 20_000 + '"}',
)
"""JSON objects whose text does not survive being parsed and written again."""


_TIME_ZONES: Final = tuple(
    timezone(timedelta(minutes=minutes)) for minutes in (0, 345, -300, 840, -720, 1439, -1439)
)


def _is_not_blank(text: str) -> bool:
    return bool(text) and not text.isspace()


def _filled(text: str, length: int) -> str:
    return ("." + text * length)[:length]


def _nested(depth: int) -> object:
    value: object = "innermost"
    for level in range(depth):
        value = [value] if level % 2 else {"deeper": value}
    return value


_FLAGS: Final = st.booleans()
_AMOUNTS: Final = st.floats(min_value=0, allow_nan=False, allow_infinity=False)
_FRACTIONS: Final = st.floats(min_value=0, max_value=1)
_FINITE: Final = st.floats(allow_nan=False, allow_infinity=False)
_COUNTS: Final = st.one_of(
    st.integers(0, 1000), st.integers(0, LARGEST_INTEGER), st.just(LARGEST_INTEGER)
)

_TEXTS: Final = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12),
    st.sampled_from(AWKWARD_TEXTS),
)
_NOT_BLANK: Final = _TEXTS.filter(_is_not_blank)
_OPTIONAL_NOT_BLANK: Final = st.none() | _NOT_BLANK
_SUMMARIES: Final = _NOT_BLANK | _NOT_BLANK.map(lambda text: _filled(text, LONGEST_SUMMARY))
_TEXT_MAPPINGS: Final = st.dictionaries(_TEXTS, _TEXTS, max_size=3)

KEYS: Final = st.one_of(
    _NOT_BLANK, _NOT_BLANK, _NOT_BLANK.map(lambda text: _filled(text, LONGEST_KEY))
)
"""Identifiers: mostly short, some as long as they may be."""
_OPTIONAL_KEYS: Final = st.none() | KEYS
_KEY_TUPLES: Final = st.lists(KEYS, max_size=3, unique=True).map(tuple)

MOMENTS: Final = st.builds(
    datetime.astimezone,
    st.one_of(
        st.datetimes(
            min_value=EARLIEST_TIME.replace(tzinfo=None),
            max_value=LATEST_TIME.replace(tzinfo=None),
            timezones=st.just(UTC),
        ),
        st.sampled_from((EARLIEST_TIME, LATEST_TIME)),
    ),
    st.sampled_from(_TIME_ZONES),
)
"""Times in assorted zones, from the earliest to the latest."""
_OPTIONAL_MOMENTS: Final = st.none() | MOMENTS
_OPTIONAL_ISO_TIMES: Final = st.one_of(
    st.none(),
    MOMENTS.map(datetime.isoformat),
    MOMENTS.map(lambda moment: moment.astimezone(UTC).isoformat().replace("+00:00", "Z")),
    MOMENTS.map(lambda moment: moment.date().isoformat()),
)

_JSON_VALUES: Final[SearchStrategy[Any]] = st.one_of(
    st.recursive(
        st.one_of(
            st.none(), _FLAGS, st.integers(-LARGEST_INTEGER, LARGEST_INTEGER), _FINITE, _TEXTS
        ),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
        max_leaves=6,
    ),
    st.integers(0, DEEPEST_JSON - 1).map(_nested),
)
_JSON_OBJECTS: Final = st.dictionaries(_TEXTS, _JSON_VALUES, max_size=3)


def _written_as_json(values: SearchStrategy[Any]) -> SearchStrategy[str]:
    """Write values as JSON in many styles, for the text has to be kept byte for byte."""
    blanks = st.text(" \t\r\n", max_size=3)
    documents = st.builds(
        json.dumps,
        values,
        ensure_ascii=_FLAGS,
        indent=st.sampled_from((None, 0, 3, "\t")),
        separators=st.sampled_from(((",", ":"), (" , ", " : "), ("\n,", ":\r\n"))),
    )
    return st.tuples(blanks, documents, blanks).map("".join)


_OBJECT_TEXTS: Final = st.one_of(_written_as_json(_JSON_OBJECTS), st.sampled_from(AWKWARD_OBJECTS))
_DOCUMENT_TEXTS: Final = _OBJECT_TEXTS | _written_as_json(_JSON_VALUES)

_ROLES_BUT_CEO: Final = tuple(role for role in HumanRole if role is not HumanRole.CEO)
_TASK_STATUSES: Final = st.sampled_from(TaskStatus)
_ARTIFACT_TYPES: Final = st.sampled_from(ArtifactType)
_ARTIFACTS_EXPECTED: Final = st.lists(
    st.builds(ExpectedArtifact, type=_ARTIFACT_TYPES, path=_NOT_BLANK), max_size=2
).map(tuple)
_ACCEPTANCE_CRITERIA: Final = st.lists(
    st.builds(AcceptanceCriterion, description=_NOT_BLANK, met=_FLAGS), max_size=2
).map(tuple)
_PRIORITIES: Final = st.sampled_from(Priority)
_COMPLEXITIES: Final = st.sampled_from(Complexity)
_OPTIONAL_STRUCTURES: Final = st.none() | st.sampled_from(TaskStructure)
_TOPOLOGIES: Final = st.sampled_from(CoordinationTopology)
_TASK_TYPES: Final = st.sampled_from(TaskType)


@st.composite
def tasks(draw: DrawFn) -> Task:
    """Make tasks in every status, with an assignee where the status asks for one."""
    task_id, parent_id, assignee = draw(KEYS), draw(_OPTIONAL_KEYS), draw(KEYS)
    status = draw(_TASK_STATUSES)
    may_be_unassigned = status in {
        TaskStatus.BLOCKED,
        TaskStatus.FAILED,
        TaskStatus.INTERRUPTED,
        TaskStatus.CANCELLED,
    }
    unassigned = status is TaskStatus.CREATED or (may_be_unassigned and draw(_FLAGS))
    return Task(
        id=task_id,
        title=draw(_NOT_BLANK),
        description=draw(_NOT_BLANK),
        project=draw(KEYS),
        created_by=draw(KEYS),
        type=draw(_TASK_TYPES),
        priority=draw(_PRIORITIES),
        assigned_to=None if unassigned else assignee,
        reviewers=draw(_KEY_TUPLES),
        dependencies=tuple(key for key in draw(_KEY_TUPLES) if key != task_id),
        delegation_chain=tuple(key for key in draw(_KEY_TUPLES) if key != assignee),
        artifacts_expected=draw(_ARTIFACTS_EXPECTED),
        acceptance_criteria=draw(_ACCEPTANCE_CRITERIA),
        estimated_complexity=draw(_COMPLEXITIES),
        budget_limit=draw(_AMOUNTS),
        deadline=draw(_OPTIONAL_ISO_TIMES),
        max_retries=draw(_COUNTS),
        status=status,
        parent_task_id=None if parent_id == task_id else parent_id,
        task_structure=draw(_OPTIONAL_STRUCTURES),
        coordination_topology=draw(_TOPOLOGIES),
    )


_CALL_CATEGORIES: Final = st.none() | st.sampled_from(LLMCallCategory)


@st.composite
def cost_records(draw: DrawFn) -> CostRecord:
    """Make records of costs; a call without tokens costs nothing."""
    input_tokens, output_tokens = draw(_COUNTS), draw(_COUNTS)
    return CostRecord(
        agent_id=draw(KEYS),
        task_id=draw(KEYS),
        provider=draw(KEYS),
        model=draw(KEYS),
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cost_usd=draw(_AMOUNTS) if input_tokens or output_tokens else 0.0,
        timestamp=draw(MOMENTS),
        call_category=draw(_CALL_CATEGORIES),
    )


def messages() -> SearchStrategy[Message]:
    """Make messages with attachments and metadata."""
    pairs = st.lists(st.tuples(_NOT_BLANK, _TEXTS), max_size=3, unique_by=lambda pair: pair[0])
    metadata = st.builds(
        MessageMetadata,
        task_id=_OPTIONAL_KEYS,
        project_id=_OPTIONAL_KEYS,
        tokens_used=st.none() | _COUNTS,
        cost_usd=st.none() | _AMOUNTS,
        extra=pairs.map(tuple),
    )
    attachments = st.lists(
        st.builds(Attachment, type=st.sampled_from(AttachmentType), ref=_NOT_BLANK), max_size=2
    )
    return st.builds(
        Message,
        id=st.uuids(),
        timestamp=MOMENTS,
        sender=KEYS,
        to=KEYS,
        type=st.sampled_from(MessageType),
        priority=st.sampled_from(MessagePriority),
        channel=KEYS,
        content=_NOT_BLANK,
        attachments=attachments.map(tuple),
        metadata=metadata,
    )


def lifecycle_events() -> SearchStrategy[AgentLifecycleEvent]:
    """Make events in the careers of agents."""
    return st.builds(
        AgentLifecycleEvent,
        id=KEYS,
        agent_id=KEYS,
        agent_name=_NOT_BLANK,
        event_type=st.sampled_from(LifecycleEventType),
        timestamp=MOMENTS,
        initiated_by=KEYS,
        details=_TEXTS,
        metadata=_TEXT_MAPPINGS,
    )


_QUALITY_SCORES: Final = st.none() | st.floats(min_value=0, max_value=10)


@st.composite
def task_metrics(draw: DrawFn) -> TaskMetricRecord:
    """Make metrics of tasks that started before they completed, or whose start is unknown."""
    started_at, completed_at = draw(_OPTIONAL_MOMENTS), draw(MOMENTS)
    if started_at is not None and started_at > completed_at:
        started_at, completed_at = completed_at, started_at
    return TaskMetricRecord(
        id=draw(KEYS),
        agent_id=draw(KEYS),
        task_id=draw(KEYS),
        task_type=draw(_TASK_TYPES),
        started_at=None if started_at == completed_at else started_at,
        completed_at=completed_at,
        is_success=draw(_FLAGS),
        duration_seconds=draw(_AMOUNTS),
        cost_usd=draw(_AMOUNTS),
        turns_used=draw(_COUNTS),
        tokens_used=draw(_COUNTS),
        quality_score=draw(_QUALITY_SCORES),
        complexity=draw(_COMPLEXITIES),
    )


def collaboration_metrics() -> SearchStrategy[CollaborationMetricRecord]:
    """Make metrics of collaboration, observed in full or in part."""
    return st.builds(
        CollaborationMetricRecord,
        id=KEYS,
        agent_id=KEYS,
        recorded_at=MOMENTS,
        delegation_success=st.none() | _FLAGS,
        delegation_response_seconds=st.none() | _AMOUNTS,
        conflict_constructiveness=st.none() | _FRACTIONS,
        meeting_contribution=st.none() | _FRACTIONS,
        handoff_completeness=st.none() | _FRACTIONS,
        loop_triggered=_FLAGS,
        interaction_summary=st.none() | _SUMMARIES,
    )


def parked_contexts() -> SearchStrategy[ParkedContext]:
    """Make parked contexts, whose text is JSON of any style."""
    return st.builds(
        ParkedContext,
        id=KEYS,
        execution_id=KEYS,
        agent_id=KEYS,
        approval_id=KEYS,
        task_id=_OPTIONAL_KEYS,
        parked_at=MOMENTS,
        context_json=_DOCUMENT_TEXTS,
        metadata=_TEXT_MAPPINGS,
    )


def audit_entries() -> SearchStrategy[AuditEntry]:
    """Make audit entries."""
    return st.builds(
        AuditEntry,
        id=KEYS,
        timestamp=MOMENTS,
        agent_id=_OPTIONAL_KEYS,
        task_id=_OPTIONAL_KEYS,
        tool_name=_NOT_BLANK,
        tool_category=st.sampled_from(ToolCategory),
        action_type=_TEXTS,
        arguments_hash=st.binary(min_size=32, max_size=32).map(bytes.hex),
        verdict=st.sampled_from(get_args(AuditVerdictStr)),
        risk_level=st.sampled_from(ApprovalRiskLevel),
        reason=_NOT_BLANK,
        matched_rules=st.lists(_NOT_BLANK, max_size=3).map(tuple),
        evaluation_duration_ms=_AMOUNTS,
        confidence=st.sampled_from(EvaluationConfidence),
        approval_id=_OPTIONAL_KEYS,
    )


def users(roles: Sequence[HumanRole] = _ROLES_BUT_CEO) -> SearchStrategy[User]:
    """Make users other than the system user.

    Args:
        roles: The roles to choose from; there can be only one CEO in a database.
    """
    return st.builds(
        User,
        id=KEYS.filter(lambda key: key != SYSTEM_USER_ID),
        username=KEYS,
        password_hash=_TEXTS,
        role=st.sampled_from(roles),
        must_change_password=_FLAGS,
        created_at=MOMENTS,
        updated_at=MOMENTS,
    )


def api_keys(user_id: str | None = None) -> SearchStrategy[ApiKey]:
    """Make API keys.

    Args:
        user_id: The user of them all; None for any.
    """
    return st.builds(
        ApiKey,
        id=KEYS,
        key_hash=KEYS,
        name=_NOT_BLANK,
        role=st.sampled_from(HumanRole),
        user_id=_given_or_any(user_id),
        created_at=MOMENTS,
        expires_at=_OPTIONAL_MOMENTS,
        revoked=_FLAGS,
    )


def _given_or_any(key: str | None) -> SearchStrategy[str]:
    return KEYS if key is None else st.just(key)


def checkpoints() -> SearchStrategy[Checkpoint]:
    """Make checkpoints, whose context is a JSON object of any style."""
    return st.builds(
        Checkpoint,
        id=KEYS,
        execution_id=KEYS,
        agent_id=KEYS,
        task_id=KEYS,
        turn_number=_COUNTS,
        context_json=_OBJECT_TEXTS,
        created_at=MOMENTS,
    )


def heartbeats() -> SearchStrategy[Heartbeat]:
    """Make heartbeats."""
    return st.builds(
        Heartbeat, execution_id=KEYS, agent_id=KEYS, task_id=KEYS, last_heartbeat_at=MOMENTS
    )


def agent_states() -> SearchStrategy[AgentRuntimeState]:
    """Make idle, executing and paused agents."""
    idle = st.builds(
        AgentRuntimeState,
        agent_id=KEYS,
        status=st.just(ExecutionStatus.IDLE),
        last_activity_at=MOMENTS,
    )
    active = st.builds(
        AgentRuntimeState,
        agent_id=KEYS,
        execution_id=KEYS,
        task_id=_OPTIONAL_KEYS,
        status=st.sampled_from((ExecutionStatus.EXECUTING, ExecutionStatus.PAUSED)),
        turn_count=_COUNTS,
        accumulated_cost_usd=_AMOUNTS,
        last_activity_at=MOMENTS,
        started_at=MOMENTS,
    )
    return active | idle


def artifacts() -> SearchStrategy[Artifact]:
    """Make records of artifacts."""
    return st.builds(
        Artifact,
        id=KEYS,
        type=_ARTIFACT_TYPES,
        path=_NOT_BLANK,
        task_id=KEYS,
        created_by=KEYS,
        description=_TEXTS,
        project_id=_OPTIONAL_KEYS,
        content_type=_TEXTS,
        size_bytes=_COUNTS,
        created_at=_OPTIONAL_MOMENTS,
    )


def projects() -> SearchStrategy[Project]:
    """Make projects."""
    return st.builds(
        Project,
        id=KEYS,
        name=_NOT_BLANK,
        description=_TEXTS,
        team=_KEY_TUPLES,
        task_ids=_KEY_TUPLES,
        lead=_OPTIONAL_KEYS,
        deadline=_OPTIONAL_ISO_TIMES,
        budget=_AMOUNTS,
        status=st.sampled_from(ProjectStatus),
    )


_NODE_IDS: Final = st.lists(_NOT_BLANK, min_size=2, max_size=5, unique=True)
_NODE_TYPES: Final = st.sampled_from(WorkflowNodeType)
_INNER_NODE_TYPES: Final = _NODE_TYPES.filter(
    lambda type_: type_ not in {WorkflowNodeType.START, WorkflowNodeType.END}
)
_EDGE_TYPES: Final = st.sampled_from(WorkflowEdgeType)
_EDGE_IDS: Final = st.lists(_NOT_BLANK, max_size=4, unique=True)
_WORKFLOW_TYPES: Final = st.sampled_from(WorkflowType)


@st.composite
def workflow_definitions(draw: DrawFn) -> WorkflowDefinition:
    """Make graphs of two to five nodes in any order, joined at random; all of version 1."""
    node_ids = draw(_NODE_IDS)
    types = [WorkflowNodeType.START, WorkflowNodeType.END]
    types += [draw(_INNER_NODE_TYPES) for _ in node_ids[2:]]
    nodes = tuple(
        WorkflowNode(
            id=node_id,
            label=draw(_NOT_BLANK),
            type=node_type,
            position_x=draw(_FINITE),
            position_y=draw(_FINITE),
            config=draw(_JSON_OBJECTS),
        )
        for node_id, node_type in zip(node_ids, draw(st.permutations(types)), strict=True)
    )
    edges = []
    for edge_id in draw(_EDGE_IDS):
        source, target, *_ = draw(st.permutations(node_ids))
        edges.append(
            WorkflowEdge(
                id=edge_id,
                source_node_id=source,
                target_node_id=target,
                type=draw(_EDGE_TYPES),
                label=draw(_OPTIONAL_NOT_BLANK),
            )
        )
    return WorkflowDefinition(
        id=draw(KEYS),
        name=draw(_NOT_BLANK),
        description=draw(_TEXTS),
        workflow_type=draw(_WORKFLOW_TYPES),
        nodes=nodes,
        edges=tuple(edges),
        created_by=draw(KEYS),
        created_at=draw(MOMENTS),
        updated_at=draw(MOMENTS),
        version=1,
    )


_NODE_EXECUTIONS: Final = st.lists(
    st.one_of(
        st.builds(
            WorkflowNodeExecution,
            node_id=_NOT_BLANK,
            node_type=_NODE_TYPES,
            status=st.sampled_from(
                (WorkflowNodeExecutionStatus.PENDING, WorkflowNodeExecutionStatus.COMPLETED)
            ),
        ),
        st.builds(
            WorkflowNodeExecution,
            node_id=_NOT_BLANK,
            node_type=_NODE_TYPES,
            status=st.just(WorkflowNodeExecutionStatus.SKIPPED),
            skipped_reason=_NOT_BLANK,
        ),
        st.builds(
            WorkflowNodeExecution,
            node_id=_NOT_BLANK,
            node_type=st.just(WorkflowNodeType.TASK),
            status=st.just(WorkflowNodeExecutionStatus.TASK_CREATED),
            task_id=KEYS,
        ),
    ),
    max_size=4,
    unique_by=lambda execution: execution.node_id,
).map(tuple)
_EXECUTION_STATUSES: Final = st.sampled_from(WorkflowExecutionStatus)
_DEFINITION_VERSIONS: Final = _COUNTS.filter(bool)


@st.composite
def workflow_executions(draw: DrawFn, definition_id: str | None = None) -> WorkflowExecution:
    """Make runs of workflows in every status; all of version 1.

    Args:
        draw: Given by Hypothesis.
        definition_id: The definition of them all; None for any.
    """
    status = draw(_EXECUTION_STATUSES)
    runs = status in {WorkflowExecutionStatus.PENDING, WorkflowExecutionStatus.RUNNING}
    return WorkflowExecution(
        id=draw(KEYS),
        definition_id=draw(_given_or_any(definition_id)),
        definition_version=draw(_DEFINITION_VERSIONS),
        status=status,
        node_executions=draw(_NODE_EXECUTIONS),
        activated_by=draw(KEYS),
        project=draw(KEYS),
        created_at=draw(MOMENTS),
        updated_at=draw(MOMENTS),
        completed_at=None if runs else draw(MOMENTS),
        error=draw(_NOT_BLANK) if status is WorkflowExecutionStatus.FAILED else None,
        version=1,
    )


STORED_ENTITIES: Final[Mapping[type[Entity], SearchStrategy[Any]]] = {
    Task: tasks(),
    CostRecord: cost_records(),
    Message: messages(),
    AgentLifecycleEvent: lifecycle_events(),
    TaskMetricRecord: task_metrics(),
    CollaborationMetricRecord: collaboration_metrics(),
    ParkedContext: parked_contexts(),
    AuditEntry: audit_entries(),
    User: users(),
    ApiKey: api_keys(),
    Checkpoint: checkpoints(),
    Heartbeat: heartbeats(),
    AgentRuntimeState: agent_states(),
    Artifact: artifacts(),
    Project: projects(),
    WorkflowDefinition: workflow_definitions(),
    WorkflowExecution: workflow_executions(),
}
"""A strategy for each entity that has a repository."""

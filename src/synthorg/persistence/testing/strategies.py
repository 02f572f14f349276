"""Strategies for valid entities, over the whole range of values that each field admits."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from types import UnionType
from typing import Any, Final, Literal, TypeVar, Union, get_args, get_origin, get_type_hints
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy
from pydantic import BaseModel

from synthorg.entities import (
    SYSTEM_USER_ID,
    AgentLifecycleEvent,
    AgentRuntimeState,
    ApiKey,
    Artifact,
    AuditEntry,
    Checkpoint,
    CollaborationMetricRecord,
    CostRecord,
    Entity,
    ExecutionStatus,
    Heartbeat,
    HumanRole,
    Message,
    MessageMetadata,
    ParkedContext,
    Project,
    Task,
    TaskMetricRecord,
    TaskStatus,
    User,
    WorkflowDefinition,
    WorkflowEdge,
    WorkflowExecution,
    WorkflowExecutionStatus,
    WorkflowNode,
    WorkflowNodeExecution,
    WorkflowNodeExecutionStatus,
    WorkflowNodeType,
)
from synthorg.entities.base import (
    EARLIEST_TIME,
    LARGEST_INTEGER,
    LATEST_TIME,
    LONGEST_KEY,
    LONGEST_SUMMARY,
    Amount,
    Count,
    Fraction,
    IsoTime,
    JsonObject,
    JsonObjectText,
    JsonText,
    Key,
    Label,
    NotBlankStr,
    Summary,
    Text,
    UtcDatetime,
    Version,
)
from synthorg.entities.json_text import DEEPEST_JSON

Model = TypeVar("Model", bound=BaseModel)

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
_SUMMARIES: Final = _NOT_BLANK | _NOT_BLANK.map(lambda text: _filled(text, LONGEST_SUMMARY))

KEYS: Final = st.one_of(
    _NOT_BLANK, _NOT_BLANK, _NOT_BLANK.map(lambda text: _filled(text, LONGEST_KEY))
)
"""Identifiers: mostly short, some as long as they may be."""

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
_ISO_TIMES: Final = st.one_of(
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


_OF_FIELD_TYPES: Final[Sequence[tuple[object, SearchStrategy[Any]]]] = (
    (Amount, _AMOUNTS),
    (Count, _COUNTS),
    (Fraction, _FRACTIONS),
    (IsoTime, _ISO_TIMES),
    (JsonObject, _JSON_OBJECTS),
    (JsonObjectText, _OBJECT_TEXTS),
    (JsonText, _DOCUMENT_TEXTS),
    (Key, KEYS),
    (Label, _TEXTS),
    (NotBlankStr, _NOT_BLANK),
    (Summary, _SUMMARIES),
    (Text, _TEXTS),
    (UtcDatetime, MOMENTS),
    (Version, _COUNTS.filter(bool)),
    (UUID, st.uuids()),
    (bool, _FLAGS),
    (float, _FINITE),
    (type(None), st.none()),
)


def of_type(kind: Any) -> SearchStrategy[Any]:
    """Make all values that a field of a type may have, keys of a tuple without repetition.

    Args:
        kind: The type, as the field is annotated.

    Raises:
        TypeError: If nobody has said what its values are.
    """
    known = next((strategy for each, strategy in _OF_FIELD_TYPES if each == kind), None)
    if known is not None:
        return known
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return st.sampled_from(kind)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return records(kind)
    return _of_parts(get_origin(kind), get_args(kind))


def _of_parts(origin: object, parts: Sequence[Any]) -> SearchStrategy[Any]:
    if origin in (Union, UnionType):
        return st.one_of([of_type(part) for part in sorted(parts, key=_is_something)])
    if origin is Literal:
        return st.sampled_from(parts)
    if origin is tuple and parts[-1] is Ellipsis:
        return st.lists(of_type(parts[0]), max_size=3, unique=parts[0] == Key).map(tuple)
    if origin is tuple:
        return st.tuples(*map(of_type, parts))
    if origin is dict:
        return st.dictionaries(*map(of_type, parts), max_size=3)
    raise TypeError(f"there is no strategy for {origin} of {parts}")


def _is_something(part: object) -> bool:
    return part is not type(None)


def fields(model: type[BaseModel], **given: SearchStrategy[Any]) -> SearchStrategy[dict[str, Any]]:
    """Make values for all fields of a model, each by its type where nothing is given for it."""
    hints = get_type_hints(model, include_extras=True)
    return st.fixed_dictionaries(
        {
            name: given[name] if name in given else of_type(hints[name])
            for name in model.model_fields
        }
    )


def records(model: type[Model], **given: SearchStrategy[Any]) -> SearchStrategy[Model]:
    """Make records of a model, with values for all fields as `fields` makes them."""
    return fields(model, **given).map(lambda values: model(**values))


_MAY_BE_UNASSIGNED: Final = frozenset(
    {TaskStatus.BLOCKED, TaskStatus.FAILED, TaskStatus.INTERRUPTED, TaskStatus.CANCELLED}
)


def tasks() -> SearchStrategy[Task]:
    """Make tasks in every status, with an assignee where the status asks for one."""

    def fitting(values: dict[str, Any]) -> Task:
        if values["assigned_to"] is None and values["status"] not in _MAY_BE_UNASSIGNED:
            values["status"] = TaskStatus.CREATED
        if values["status"] is TaskStatus.CREATED:
            values["assigned_to"] = None
        key, assignee = values["id"], values["assigned_to"]
        values["dependencies"] = tuple(each for each in values["dependencies"] if each != key)
        chain = values["delegation_chain"]
        values["delegation_chain"] = tuple(each for each in chain if each != assignee)
        if values["parent_task_id"] == key:
            values["parent_task_id"] = None
        return Task(**values)

    return fields(Task, assigned_to=KEYS | KEYS | st.none()).map(fitting)


def cost_records() -> SearchStrategy[CostRecord]:
    """Make records of costs; a call without tokens costs nothing."""

    def fitting(values: dict[str, Any]) -> CostRecord:
        has_tokens = values["input_tokens"] or values["output_tokens"]
        return CostRecord(**{**values, "cost_usd": values["cost_usd"] if has_tokens else 0.0})

    return fields(CostRecord).map(fitting)


def messages() -> SearchStrategy[Message]:
    """Make messages with attachments and metadata, no name of which occurs twice."""
    pairs = st.lists(st.tuples(_NOT_BLANK, _TEXTS), max_size=3, unique_by=lambda pair: pair[0])
    return records(Message, metadata=records(MessageMetadata, extra=pairs.map(tuple)))


def task_metrics() -> SearchStrategy[TaskMetricRecord]:
    """Make metrics of tasks that started before they completed, or whose start is unknown."""

    def fitting(values: dict[str, Any]) -> TaskMetricRecord:
        started, completed = values["started_at"], values["completed_at"]
        if started is not None and started > completed:
            started, completed = completed, started
        started = None if started == completed else started
        return TaskMetricRecord(**{**values, "started_at": started, "completed_at": completed})

    scores = st.none() | st.floats(min_value=0, max_value=10)
    return fields(TaskMetricRecord, quality_score=scores).map(fitting)


def audit_entries() -> SearchStrategy[AuditEntry]:
    """Make audit entries, with hashes of arguments."""
    return records(AuditEntry, arguments_hash=st.binary(min_size=32, max_size=32).map(bytes.hex))


def users() -> SearchStrategy[User]:
    """Make users other than the system user and the CEO, of whom there can be one."""
    return records(
        User,
        id=KEYS.filter(lambda key: key != SYSTEM_USER_ID),
        role=st.sampled_from([role for role in HumanRole if role is not HumanRole.CEO]),
    )


def agent_states() -> SearchStrategy[AgentRuntimeState]:
    """Make idle, executing and paused agents."""
    active = records(
        AgentRuntimeState,
        execution_id=KEYS,
        status=st.sampled_from((ExecutionStatus.EXECUTING, ExecutionStatus.PAUSED)),
        started_at=MOMENTS,
    )
    idle = st.builds(
        AgentRuntimeState,
        agent_id=KEYS,
        status=st.just(ExecutionStatus.IDLE),
        last_activity_at=MOMENTS,
    )
    return active | idle


_NODE_IDS: Final = st.lists(_NOT_BLANK, min_size=2, max_size=5, unique=True)
_ENDS: Final = (WorkflowNodeType.START, WorkflowNodeType.END)
_INNER_NODE_TYPES: Final = st.sampled_from([each for each in WorkflowNodeType if each not in _ENDS])
_EDGE_IDS: Final = st.lists(_NOT_BLANK, max_size=4, unique=True)
_NODES: Final = fields(WorkflowNode)
_EDGES: Final = fields(WorkflowEdge)
_FIRST: Final = st.just(1)
_WITHOUT_NODES: Final = fields(WorkflowDefinition, nodes=_FIRST, edges=_FIRST, version=_FIRST)


@st.composite
def workflow_definitions(draw: DrawFn) -> WorkflowDefinition:
    """Make graphs of two to five nodes in any order, joined at random; all of version 1."""
    node_ids = draw(_NODE_IDS)
    types = draw(st.permutations([*_ENDS, *[draw(_INNER_NODE_TYPES) for _ in node_ids[2:]]]))
    nodes = [
        WorkflowNode(**{**draw(_NODES), "id": node_id, "type": node_type})
        for node_id, node_type in zip(node_ids, types, strict=True)
    ]
    edges = []
    for edge_id in draw(_EDGE_IDS):
        source, target, *_ = draw(st.permutations(node_ids))
        ends = {"id": edge_id, "source_node_id": source, "target_node_id": target}
        edges.append(WorkflowEdge(**{**draw(_EDGES), **ends}))
    values = {**draw(_WITHOUT_NODES), "nodes": tuple(nodes), "edges": tuple(edges)}
    return WorkflowDefinition(**values)


_NOTHING: Final = st.none()
_STATES: Final = WorkflowNodeExecutionStatus
_NODE_EXECUTIONS: Final = st.lists(
    st.one_of(
        records(
            WorkflowNodeExecution,
            status=st.sampled_from((_STATES.PENDING, _STATES.COMPLETED)),
            task_id=_NOTHING,
            skipped_reason=_NOTHING,
        ),
        records(
            WorkflowNodeExecution,
            status=st.just(_STATES.SKIPPED),
            task_id=_NOTHING,
            skipped_reason=_NOT_BLANK,
        ),
        records(
            WorkflowNodeExecution,
            node_type=st.just(WorkflowNodeType.TASK),
            status=st.just(_STATES.TASK_CREATED),
            task_id=KEYS,
            skipped_reason=_NOTHING,
        ),
    ),
    max_size=4,
    unique_by=lambda execution: execution.node_id,
).map(tuple)
_RUNNING: Final = (WorkflowExecutionStatus.PENDING, WorkflowExecutionStatus.RUNNING)


def workflow_executions() -> SearchStrategy[WorkflowExecution]:
    """Make runs of workflows in every status; all of version 1."""

    def fitting(values: dict[str, Any]) -> WorkflowExecution:
        if values["status"] in _RUNNING:
            values["completed_at"] = None
        if values["status"] is not WorkflowExecutionStatus.FAILED:
            values["error"] = None
        return WorkflowExecution(**values)

    return fields(
        WorkflowExecution,
        node_executions=_NODE_EXECUTIONS,
        completed_at=MOMENTS,
        error=_NOT_BLANK,
        version=_FIRST,
    ).map(fitting)


STORED_ENTITIES: Final[Mapping[type[Entity], SearchStrategy[Any]]] = {
    Task: tasks(),
    CostRecord: cost_records(),
    Message: messages(),
    AgentLifecycleEvent: records(AgentLifecycleEvent),
    TaskMetricRecord: task_metrics(),
    CollaborationMetricRecord: records(CollaborationMetricRecord),
    ParkedContext: records(ParkedContext),
    AuditEntry: audit_entries(),
    User: users(),
    ApiKey: records(ApiKey),
    Checkpoint: records(Checkpoint),
    Heartbeat: records(Heartbeat),
    AgentRuntimeState: agent_states(),
    Artifact: records(Artifact),
    Project: records(Project),
    WorkflowDefinition: workflow_definitions(),
    WorkflowExecution: workflow_executions(),
}
"""A strategy for each entity that has a repository."""

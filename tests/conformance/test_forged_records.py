"""What nobody has validated is either refused, or stored so that it and its list can be read."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from functools import cached_property
from math import nan
from typing import Any, Final
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from synthorg.entities import (
    AcceptanceCriterion,
    AgentRuntimeState,
    CostRecord,
    Message,
    MessageMetadata,
    PresetListRow,
    Task,
    TaskStatus,
    WorkflowDefinition,
    WorkflowExecutionStatus,
    WorkflowNode,
    WorkflowNodeType,
)
from synthorg.entities.json_text import DEEPEST_JSON
from synthorg.persistence import DuplicateRecordError, PersistenceError, QueryError
from synthorg.persistence.testing.awkward import NAIVE_TIME, UNSTORABLE_TEXTS
from synthorg.persistence.testing.kind import Kind
from synthorg.persistence.testing.kinds import (
    AGENT_STATES,
    ARTIFACTS,
    COST_RECORDS,
    DEFINITIONS,
    EXECUTIONS,
    KINDS,
    MESSAGES,
    PARKED_CONTEXTS,
    PRESETS,
    TASKS,
    kinds,
)
from synthorg.persistence.testing.units import repositories
from synthorg.persistence.transactions import TransactionalBackend
from tests.conformance.units import count

MARK: Final = "the-value-itself"
"""A part of the values that must not show up in a message."""

Save = Callable[[TransactionalBackend, Kind, Any], Awaitable[None]]


async def save_alone(backend: TransactionalBackend, kind: Kind, record: Any) -> None:
    await kind.save(backend, record)


async def save_with_others(backend: TransactionalBackend, kind: Kind, record: Any) -> None:
    repository = getattr(backend, kind.repository)
    if hasattr(repository, "save_many"):
        await repository.save_many(iter([record]))
    else:
        await kind.save(backend, record)


async def save_in_a_unit(backend: TransactionalBackend, kind: Kind, record: Any) -> None:
    async with backend.transaction() as unit:
        await kind.save(repositories(unit), record)


WAYS: Final = (save_alone, save_with_others, save_in_a_unit)
every_way = pytest.mark.parametrize("save", WAYS, ids=lambda way: way.__name__)

VALUES_OF_ALL_KINDS: Final = tuple(
    getattr(kind.example, name) for kind in KINDS for name in kind.fields
) + tuple(value for kind in KINDS for value in kind.changes.values())

SCALARS: Final = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.binary(max_size=3),
    st.datetimes() | st.datetimes(timezones=st.just(UTC)),
    st.uuids(),
    st.sampled_from((*UNSTORABLE_TEXTS, MARK, "x" * 300, "1", "true", "nan", 10**400, 10**20)),
    st.builds(object),
)
JUNK: Final = st.one_of(
    SCALARS,
    st.sampled_from(VALUES_OF_ALL_KINDS),
    st.lists(SCALARS, max_size=2),
    st.tuples(SCALARS),
    st.dictionaries(st.text(max_size=2) | st.integers(), SCALARS, max_size=2),
    st.frozensets(st.text(max_size=2), max_size=2),
    st.builds(AcceptanceCriterion.model_construct, description=SCALARS),
    st.builds(MessageMetadata.model_construct, extra=st.lists(st.tuples(SCALARS, SCALARS))),
)
"""Anything that a careless program could put into a field."""


@pytest.fixture
def keys() -> set[str]:
    """What is stored under a key of its own; a second record there would replace it."""
    return set()


@kinds()
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(junk=JUNK, save=st.sampled_from(WAYS))
async def test_whatever_is_put_into_a_field_is_refused_or_read_back(
    backend: TransactionalBackend, kind: Kind, keys: set[str], junk: object, save: Save
) -> None:
    stored = await count(backend, kind)
    for name in kind.fields:
        key = repr((name, junk)) if name in (*kind.key, *kind.unique) else None
        if key in keys:
            continue
        record = kind.fresh(kind.example)
        if kind.prepare is not None:
            await kind.prepare(backend, record)
        try:
            await save(backend, kind, kind.forged(record, **{name: junk}))
        except PersistenceError:
            continue
        expected = kind.altered(record, **{name: junk})
        assert await kind.stored(backend, expected) == expected, name
        stored += 1
        if key is not None:
            keys.add(key)
    assert await count(backend, kind) == stored


def nested(levels: int) -> dict[str, object]:
    """Nest objects in an object."""
    value: dict[str, object] = {}
    for _ in range(levels):
        value = {"deeper": value}
    return value


def mutated(record: Any, **changes: object) -> Any:
    """Change a frozen record in place, past Pydantic."""
    copy = record.model_copy()
    for name, value in changes.items():
        object.__setattr__(copy, name, value)
    return copy


def reduced(record: Any, name: str) -> Any:
    """Take a field away."""
    copy = record.model_copy()
    del copy.__dict__[name]
    return copy


def configured(**config: object) -> WorkflowDefinition:
    """Change the configuration of a node after everything has been validated."""
    definition: WorkflowDefinition = DEFINITIONS.make()
    changed: Any = definition.nodes[1].config
    changed.update(config)
    return definition


class UrgentTask(Task):
    """An application's own kind of task, with more in it than a task has."""

    deadline_missed: bool = True


class OpenTask(Task, extra="allow"):
    """One that takes anything."""


class CountingTask(Task):
    """One that only works something out."""

    @cached_property
    def words(self) -> int:
        """Count the words of the title."""
        return len(self.title.split())


NOTHING: Final[Mapping[str, Any]] = {}
CRITERION: Final = AcceptanceCriterion(description="It works.")
START: Final = WorkflowNode(id="s", label="Start", type=WorkflowNodeType.START)

FORGED: Final[Mapping[str, tuple[Kind, Any, str]]] = {
    "a blank text": (TASKS, TASKS.forged(TASKS.example, title=" "), "title"),
    "a member that there is not": (TASKS, TASKS.forged(TASKS.example, status="done"), "status"),
    "no date": (TASKS, TASKS.forged(TASKS.example, deadline="next friday"), "deadline"),
    "no JSON": (
        PARKED_CONTEXTS,
        PARKED_CONTEXTS.forged(PARKED_CONTEXTS.example, context_json="{"),
        "context_json",
    ),
    "JSON without end": (
        PARKED_CONTEXTS,
        PARKED_CONTEXTS.forged(PARKED_CONTEXTS.example, context_json="[" * 500 + "]" * 500),
        "context_json",
    ),
    "a key twice": (TASKS, TASKS.forged(TASKS.example, reviewers=("bob", "bob")), "reviewers"),
    "a reference to itself": (
        TASKS,
        TASKS.forged(TASKS.example, dependencies=(TASKS.example.id,)),
        "dependencies",
    ),
    "two fields that do not fit": (
        TASKS,
        TASKS.forged(TASKS.example, status=TaskStatus.ASSIGNED, assigned_to=None),
        "assigned_to",
    ),
    "an idle agent that works": (
        AGENT_STATES,
        AgentRuntimeState.model_construct(**{**vars(AGENT_STATES.example), "status": "idle"}),
        "status",
    ),
    "a failure without an error": (
        EXECUTIONS,
        EXECUTIONS.forged(EXECUTIONS.example, error=None),
        "error",
    ),
    "a failure that goes on": (
        EXECUTIONS,
        mutated(EXECUTIONS.example, status=WorkflowExecutionStatus.RUNNING),
        "status",
    ),
    "costs of nothing": (
        COST_RECORDS,
        COST_RECORDS.forged(COST_RECORDS.example, input_tokens=0, output_tokens=0),
        "cost_usd",
    ),
    "a model inside": (
        TASKS,
        TASKS.forged(
            TASKS.example,
            acceptance_criteria=(AcceptanceCriterion.model_construct(description=" "),),
        ),
        "acceptance_criteria",
    ),
    "a model inside without a field": (
        TASKS,
        TASKS.forged(
            TASKS.example, acceptance_criteria=(AcceptanceCriterion.model_construct(**NOTHING),)
        ),
        "acceptance_criteria",
    ),
    "a model inside with a field more": (
        TASKS,
        TASKS.forged(
            TASKS.example,
            acceptance_criteria=(CRITERION.model_copy(update={"why": "x"}),),
        ),
        "acceptance_criteria",
    ),
    "a model inside that was never made": (
        TASKS,
        TASKS.forged(
            TASKS.example,
            acceptance_criteria=(AcceptanceCriterion.__new__(AcceptanceCriterion),),
        ),
        "incomplete",
    ),
    "a dictionary in place of a model": (
        TASKS,
        TASKS.forged(TASKS.example, acceptance_criteria=({"description": "x", "met": "perhaps"},)),
        "acceptance_criteria",
    ),
    "another model": (
        TASKS,
        TASKS.forged(TASKS.example, acceptance_criteria=(START,)),
        "acceptance_criteria",
    ),
    "metadata with a key twice": (
        MESSAGES,
        MESSAGES.forged(
            MESSAGES.example,
            metadata=MessageMetadata.model_construct(extra=(("a", "1"), ("a", "2"))),
        ),
        "metadata",
    ),
    "a graph without an end": (
        DEFINITIONS,
        DEFINITIONS.forged(DEFINITIONS.example, nodes=(START,), edges=()),
        "nodes",
    ),
    "a key that is no text": (DEFINITIONS, configured(a={1: "b"}), "nodes.1"),
    "a key that is no text at the top": (
        DEFINITIONS,
        DEFINITIONS.forged(
            DEFINITIONS.example,
            nodes=(*DEFINITIONS.example.nodes, mutated(START, id="n", config={1: 2})),
        ),
        "nodes.3",
    ),
    "no number": (DEFINITIONS, configured(number=nan), "nodes.1"),
    "a text with NUL": (DEFINITIONS, configured(text=MARK + "\x00"), "nodes.1"),
    "objects too deep": (DEFINITIONS, configured(deep=nested(DEEPEST_JSON)), "nodes.1"),
    "no JSON inside": (DEFINITIONS, configured(moment=datetime.now(UTC)), "nodes.1"),
    "mutation": (TASKS, mutated(TASKS.example, budget_limit=-1.0), "budget_limit"),
    "a time without a zone": (
        MESSAGES,
        mutated(MESSAGES.example, timestamp=NAIVE_TIME),
        "timestamp",
    ),
    "a required field missing": (TASKS, reduced(TASKS.example, "title"), "title"),
    "a field with a default missing": (TASKS, reduced(TASKS.example, "priority"), "priority"),
    "a member nested without end": (TASKS, TASKS.forged(TASKS.example, type=nested(3000)), "type"),
    "a record of almost nothing": (COST_RECORDS, CostRecord.model_construct(**NOTHING), "agent_id"),
    "a record that was never made": (MESSAGES, Message.__new__(Message), "id"),
    "a field that may be None missing": (TASKS, reduced(TASKS.example, "deadline"), "deadline"),
    "a version missing": (DEFINITIONS, reduced(DEFINITIONS.example, "version"), "version"),
    "a key missing": (ARTIFACTS, reduced(ARTIFACTS.example, "id"), "id"),
    "a field more": (TASKS, TASKS.forged(TASKS.example, urgent=MARK), "urgent"),
    "a field more in place of one": (
        TASKS,
        TASKS.forged(reduced(TASKS.example, "priority"), urgent=MARK),
        "priority",
    ),
    "a derived kind with a field more": (
        TASKS,
        UrgentTask(**vars(TASKS.example)),
        "deadline_missed",
    ),
    "a derived kind that takes more": (TASKS, OpenTask(**vars(TASKS.example), urgent=1), "urgent"),
    "a preset of numbers": (PRESETS, PresetListRow("kind", 1, "", "", ""), "config_json"),  # type: ignore[arg-type]
}
"""By what is wrong: the kind, a record with it, and what an error names."""


@every_way
@pytest.mark.parametrize("fault", FORGED)
async def test_a_record_that_could_not_be_read_is_refused(
    backend: TransactionalBackend, fault: str, save: Save
) -> None:
    kind, record, name = FORGED[fault]
    if kind.prepare is not None:
        await kind.prepare(backend, record)
    with pytest.raises(QueryError, match=rf"cannot save {kind.repository}.*\b{name}") as refusal:
        await save(backend, kind, record)
    assert MARK not in str(refusal.value)
    assert not isinstance(refusal.value.__context__, ValidationError)
    assert await count(backend, kind) == 0


@every_way
@kinds(lambda kind: kind.versioned)
async def test_a_later_version_that_could_not_be_read_is_refused(
    backend: TransactionalBackend, kind: Kind, save: Save
) -> None:
    await kind.store(backend, kind.example)
    forged = kind.forged(kind.example, version=2, updated_at="today")
    with pytest.raises(QueryError, match=rf"{kind.repository} \(id='.+'\): updated_at"):
        await save(backend, kind, forged)
    assert await kind.stored(backend, kind.example) == kind.example


READABLE: Final[Mapping[str, tuple[Kind, Any]]] = {
    "the value of a member": (TASKS, TASKS.forged(TASKS.example, status="failed", priority="low")),
    "lists in place of tuples": (TASKS, TASKS.forged(TASKS.example, reviewers=["bob", "ada"])),
    "a dictionary in place of a model": (
        TASKS,
        TASKS.forged(TASKS.example, acceptance_criteria=[{"description": "x", "met": True}]),
    ),
    "the text of a UUID": (MESSAGES, MESSAGES.forged(MESSAGES.example, id=str(uuid4()).upper())),
    "a whole number in place of another": (TASKS, TASKS.forged(TASKS.example, budget_limit=3)),
    "a time of another zone": (
        MESSAGES,
        MESSAGES.forged(
            MESSAGES.example, timestamp=datetime.fromisoformat("2024-01-01T00:00:00+05:45")
        ),
    ),
    "a derived kind": (TASKS, CountingTask(**vars(TASKS.example))),
    "a model made without validation": (TASKS, Task.model_construct(**vars(TASKS.example))),
}
"""By what is unusual: records that nobody has validated, and that are right."""


@every_way
@pytest.mark.parametrize("peculiarity", READABLE)
async def test_what_reads_as_a_valid_record_is_saved_as_one(
    backend: TransactionalBackend, peculiarity: str, save: Save
) -> None:
    kind, record = READABLE[peculiarity]
    assert not isinstance(record, CountingTask) or record.words
    await save(backend, kind, record)
    values = {name: vars(record)[name] for name in kind.fields}
    valid = type(kind.example).model_validate(values)
    assert await kind.stored(backend, valid) == valid
    assert type(await kind.stored(backend, valid)) is type(kind.example)


async def test_what_is_changed_after_it_was_given_is_stored_as_it_was_given(
    backend: TransactionalBackend,
) -> None:
    definition: Any = configured(steps=["build"])
    before = definition.model_copy(deep=True)
    await backend.workflow_definitions.save(definition)
    definition.nodes[1].config["steps"].append(nan)
    assert await backend.workflow_definitions.get(definition.id) == before


async def test_a_key_is_stored_as_validation_leaves_it(backend: TransactionalBackend) -> None:
    text = str(MESSAGES.example.id).upper()
    await backend.messages.save(MESSAGES.forged(MESSAGES.example, id=text))
    with pytest.raises(DuplicateRecordError):
        await backend.messages.save(MESSAGES.example)

"""What holds for every entity: its fields and defaults, and that it does not change."""

from collections.abc import Mapping
from enum import StrEnum
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, Final, get_args
from uuid import UUID

import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st
from pydantic import ValidationError

from synthorg import entities
from synthorg.entities import (
    ApprovalRiskLevel,
    ArtifactType,
    AttachmentType,
    AuditEntry,
    AuditVerdictStr,
    Complexity,
    CoordinationTopology,
    Entity,
    EvaluationConfidence,
    ExecutionStatus,
    HumanRole,
    LifecycleEventType,
    LLMCallCategory,
    MessagePriority,
    MessageType,
    PresetListRow,
    PresetRow,
    Priority,
    ProjectStatus,
    TaskStatus,
    TaskStructure,
    TaskType,
    ToolCategory,
    WorkflowEdgeType,
    WorkflowExecutionStatus,
    WorkflowNodeExecutionStatus,
    WorkflowNodeType,
    WorkflowType,
)
from synthorg.entities.base import now
from synthorg.persistence.testing.strategies import STORED_ENTITIES
from tests.entities.examples import (
    DEFAULTS,
    FRESH_IDS,
    MINIMAL,
    PRESENT_TIMES,
    each_field,
    make,
)

STORED_TEXTS: Final[Mapping[type[StrEnum], str]] = {
    TaskType: "development design research review meeting admin",
    Priority: "critical high medium low",
    Complexity: "simple medium complex epic",
    TaskStatus: "created assigned in_progress in_review completed blocked failed interrupted"
    " cancelled",
    TaskStructure: "sequential parallel mixed",
    CoordinationTopology: "sas centralized decentralized context_dependent auto",
    LLMCallCategory: "productive coordination system",
    MessageType: "task_update question announcement review_request approval delegation"
    " status_report escalation meeting_contribution hr_notification",
    MessagePriority: "low normal high urgent",
    AttachmentType: "artifact file link",
    LifecycleEventType: "hired onboarded fired offboarded status_changed promoted demoted",
    ToolCategory: "file_system code_execution version_control web database terminal design"
    " communication analytics deployment memory mcp other",
    ApprovalRiskLevel: "low medium high critical",
    EvaluationConfidence: "high low",
    HumanRole: "ceo manager board_member pair_programmer observer system",
    ExecutionStatus: "idle executing paused",
    ArtifactType: "code tests documentation",
    ProjectStatus: "planning active on_hold completed cancelled",
    WorkflowType: "sequential_pipeline parallel_execution kanban agile_kanban",
    WorkflowNodeType: "start end task agent_assignment conditional parallel_split parallel_join",
    WorkflowEdgeType: "sequential conditional_true conditional_false parallel_branch",
    WorkflowExecutionStatus: "pending running completed failed cancelled",
    WorkflowNodeExecutionStatus: "pending skipped task_created completed",
}

every_entity = pytest.mark.parametrize("entity", MINIMAL, ids=lambda entity: entity.__name__)
every_stored_entity = pytest.mark.parametrize(
    "entity", STORED_ENTITIES, ids=lambda entity: entity.__name__
)
_required: Final = {entity: " ".join(required) for entity, required in MINIMAL.items()}
_all_fields: Final = {entity: " ".join(entity.model_fields) for entity in MINIMAL}


def _public_names_of(module_name: str) -> set[str]:
    module = import_module(module_name)
    return {
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (
            getattr(value, "__module__", None) == module_name
            or (name.isupper() and not isinstance(value, type))
        )
    }


def test_every_public_name_is_imported_from_one_place() -> None:
    """Nobody has to know which module an entity lives in."""
    names = {"AuditVerdictStr", "Entity", "Key", "NotBlankStr", "UtcDatetime"}
    for module in iter_modules(entities.__path__, "synthorg.entities."):
        if module.name not in ("synthorg.entities.base", "synthorg.entities.json_text"):
            names |= _public_names_of(module.name)
    assert set(entities.__all__) == names
    assert all(hasattr(entities, name) for name in names)


def test_every_entity_has_an_example() -> None:
    """A new entity has to be added to the examples, and so gets the tests of this folder."""
    exported = [getattr(entities, name) for name in entities.__all__]
    models = {each for each in exported if isinstance(each, type) and issubclass(each, Entity)}
    assert set(MINIMAL) == models - {Entity}


@pytest.mark.parametrize("choices", STORED_TEXTS, ids=lambda choices: choices.__name__)
def test_the_stored_text_of_a_choice_is_its_value(choices: type[StrEnum]) -> None:
    """Databases out there hold these texts."""
    assert [str(choice) for choice in choices] == STORED_TEXTS[choices].split()
    assert list(choices) == STORED_TEXTS[choices].split()


def test_the_verdicts_are_fixed() -> None:
    assert get_args(AuditVerdictStr) == ("allow", "deny", "escalate", "output_scan")
    with pytest.raises(ValidationError, match="verdict"):
        make(AuditEntry, verdict="maybe")


def test_presets_are_rows_of_text() -> None:
    assert PresetRow._fields == ("config_json", "description", "created_at", "updated_at")
    assert PresetListRow._fields == ("name", *PresetRow._fields)


@every_entity
def test_every_field_is_required_or_has_its_default(entity: type[Entity]) -> None:
    made = make(entity)
    defaults = DEFAULTS.get(entity, {})
    assert {name: getattr(made, name) for name in defaults} == defaults
    others = f"{FRESH_IDS.get(entity, '')} {PRESENT_TIMES.get(entity, '')}".split()
    assert {*MINIMAL[entity], *defaults, *others} == set(entity.model_fields)


@each_field(_required)
def test_a_required_field_cannot_be_left_out(entity: type[Entity], field: str) -> None:
    given = {name: value for name, value in MINIMAL[entity].items() if name != field}
    with pytest.raises(ValidationError):
        entity.model_validate(given)


@every_entity
def test_an_unknown_field_is_refused(entity: type[Entity]) -> None:
    """A misspelt name must not be dropped silently."""
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        make(entity, unknown_field=1)


@each_field(FRESH_IDS)
def test_an_id_is_random_unless_given(entity: type[Entity], field: str) -> None:
    first, second = (getattr(make(entity), field) for _ in range(2))
    assert first != second
    assert UUID(str(first)).version == 4
    assert str(first) == str(UUID(str(first)))


@each_field(PRESENT_TIMES)
def test_a_time_is_the_present_unless_given(entity: type[Entity], field: str) -> None:
    before = now()
    assert before <= getattr(make(entity), field) <= now()


@each_field(_all_fields)
def test_a_field_cannot_be_changed_or_deleted(entity: type[Entity], field: str) -> None:
    made = make(entity)
    before = made.model_dump()
    with pytest.raises(ValidationError, match="Instance is frozen"):
        setattr(made, field, before.get(field))
    with pytest.raises(ValidationError, match="Instance is frozen"):
        delattr(made, field)
    assert made.model_dump() == before


@every_stored_entity
@settings(max_examples=50)
@for_all(data=st.data())
def test_an_entity_survives_being_dumped_and_read_back(
    entity: type[Entity], data: st.DataObject
) -> None:
    """Its JSON too is the same again, so that neither 1 and 1.0 nor 1 and true are mixed up."""
    made = data.draw(STORED_ENTITIES[entity])
    document = made.model_dump_json()
    for again in (
        entity.model_validate_json(document),
        entity.model_validate(made.model_dump()),
        entity.model_validate(made.model_dump(by_alias=False)),
    ):
        assert again == made
        assert again.model_dump_json() == document


@every_stored_entity
def test_a_strategy_varies_every_field(entity: type[Entity]) -> None:
    """A field that never changes is one whose loss in a database would go unnoticed."""
    seen: dict[str, set[str]] = {name: set() for name in entity.model_fields}

    @settings(max_examples=60, database=None, derandomize=True)
    @for_all(STORED_ENTITIES[entity])
    def collect(made: Any) -> None:
        for name, values in seen.items():
            values.add(repr(getattr(made, name)))

    collect()
    constant = {name for name, values in seen.items() if len(values) == 1}
    assert constant <= {"version"}

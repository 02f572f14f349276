"""Which numbers each field admits."""

import math
import sys
from typing import Final

import pytest

from synthorg.entities import (
    AgentRuntimeState,
    Artifact,
    AuditEntry,
    Checkpoint,
    CollaborationMetricRecord,
    CostRecord,
    Entity,
    MessageMetadata,
    Project,
    Task,
    TaskMetricRecord,
    WorkflowDefinition,
    WorkflowExecution,
    WorkflowNode,
)
from tests.entities.examples import Fields, complaints, each_field, fields_that_hold, make, named

COUNTS: Final[Fields] = {
    Task: "max_retries",
    CostRecord: "input_tokens output_tokens",
    MessageMetadata: "tokens_used",
    TaskMetricRecord: "turns_used tokens_used",
    Checkpoint: "turn_number",
    AgentRuntimeState: "turn_count",
    Artifact: "size_bytes",
}
VERSIONS: Final[Fields] = {
    WorkflowDefinition: "version",
    WorkflowExecution: "definition_version version",
}
AMOUNTS: Final[Fields] = {
    Task: "budget_limit",
    CostRecord: "cost_usd",
    MessageMetadata: "cost_usd",
    TaskMetricRecord: "duration_seconds cost_usd",
    CollaborationMetricRecord: "delegation_response_seconds",
    AuditEntry: "evaluation_duration_ms",
    AgentRuntimeState: "accumulated_cost_usd",
    Project: "budget",
}
FRACTIONS: Final[Fields] = {
    CollaborationMetricRecord: "conflict_constructiveness meeting_contribution"
    " handoff_completeness",
}
SCORES: Final[Fields] = {TaskMetricRecord: "quality_score"}
POSITIONS: Final[Fields] = {WorkflowNode: "position_x position_y"}

LARGEST: Final = 2**63 - 1
LEAST_ABOVE_ZERO: Final = math.ulp(0.0)


def test_every_number_is_held_to_one_rule() -> None:
    """A new field has to be added to one of the tables above, and so gets its tests."""
    assert named(COUNTS, VERSIONS) == fields_that_hold(int)
    assert named(AMOUNTS, FRACTIONS, SCORES, POSITIONS) == fields_that_hold(float)


@pytest.mark.parametrize("number", [0, 1, LARGEST])
@each_field(COUNTS)
def test_a_count_reaches_from_nothing_to_64_bits(
    entity: type[Entity], field: str, number: int
) -> None:
    assert complaints(entity, field, number) == []


@pytest.mark.parametrize("number", [1, LARGEST])
@each_field(VERSIONS)
def test_a_version_reaches_from_1_to_64_bits(entity: type[Entity], field: str, number: int) -> None:
    assert getattr(make(entity, **{field: number}), field) == number


@pytest.mark.parametrize(
    "number", [-1, LARGEST + 1, 10**30, True, False, 1.5, 1.0, math.nan, math.inf, "1", b"1"]
)
@each_field(COUNTS, VERSIONS)
def test_what_is_no_whole_number_of_things_is_no_count(
    entity: type[Entity], field: str, number: object
) -> None:
    assert len(complaints(entity, field, number)) == 1


@each_field(VERSIONS)
def test_there_is_no_version_0(entity: type[Entity], field: str) -> None:
    assert complaints(entity, field, 0) == ["Input should be greater than or equal to 1"]


@pytest.mark.parametrize("number", [0.0, -0.0, LEAST_ABOVE_ZERO, 0.1, 3, sys.float_info.max])
@each_field(AMOUNTS)
def test_an_amount_is_any_finite_number_from_0(
    entity: type[Entity], field: str, number: float
) -> None:
    assert complaints(entity, field, number) == []


@each_field(AMOUNTS)
def test_a_negative_amount_is_refused(entity: type[Entity], field: str) -> None:
    assert complaints(entity, field, -LEAST_ABOVE_ZERO) == [
        "Input should be greater than or equal to 0"
    ]


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, "nan", "Infinity"])
@each_field(AMOUNTS, FRACTIONS, SCORES, POSITIONS)
def test_a_number_that_is_not_finite_is_refused(
    entity: type[Entity], field: str, number: object
) -> None:
    assert complaints(entity, field, number) == ["Input should be a finite number"]


@pytest.mark.parametrize(
    ("fields", "largest"), [(FRACTIONS, 1.0), (SCORES, 10.0)], ids=["fractions", "scores"]
)
def test_a_score_lies_within_its_bounds(fields: Fields, largest: float) -> None:
    """The bounds themselves are scores; the numbers next to them are not."""
    for entity, field in named(fields):
        for score in (0.0, largest / 3, largest):
            assert getattr(make(entity, **{field: score}), field) == score
        for number in (-LEAST_ABOVE_ZERO, math.nextafter(largest, math.inf)):
            assert len(complaints(entity, field, number)) == 1


@pytest.mark.parametrize("number", [-sys.float_info.max, -0.5, 0.0, sys.float_info.max])
@each_field(POSITIONS)
def test_a_position_may_be_negative(entity: type[Entity], field: str, number: float) -> None:
    assert getattr(make(entity, **{field: number}), field) == number

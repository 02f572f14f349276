"""How times are admitted and held."""

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Final
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given as for_all
from pydantic import AwareDatetime

from synthorg.entities import (
    AgentLifecycleEvent,
    AgentRuntimeState,
    ApiKey,
    Artifact,
    AuditEntry,
    Checkpoint,
    CollaborationMetricRecord,
    CostRecord,
    Entity,
    Heartbeat,
    Message,
    ParkedContext,
    Project,
    Task,
    TaskMetricRecord,
    User,
    WorkflowDefinition,
    WorkflowExecution,
)
from synthorg.entities.base import EARLIEST_TIME, LATEST_TIME
from synthorg.persistence.testing.strategies import MOMENTS
from tests.entities.examples import (
    Fields,
    complaints,
    each_field,
    fields_that_hold,
    make,
    named,
)

NOON: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)

TIMES: Final[Fields] = {
    CostRecord: "timestamp",
    Message: "timestamp",
    AgentLifecycleEvent: "timestamp",
    TaskMetricRecord: "started_at completed_at",
    CollaborationMetricRecord: "recorded_at",
    ParkedContext: "parked_at",
    AuditEntry: "timestamp",
    User: "created_at updated_at",
    ApiKey: "created_at expires_at",
    Checkpoint: "created_at",
    Heartbeat: "last_heartbeat_at",
    AgentRuntimeState: "last_activity_at started_at",
    Artifact: "created_at",
    WorkflowDefinition: "created_at updated_at",
    WorkflowExecution: "created_at updated_at completed_at",
}
DEADLINES: Final[Fields] = {Task: "deadline", Project: "deadline"}

MICROSECOND: Final = timedelta(microseconds=1)
OUT_OF_RANGE: Final = "Value error, must lie between 0001-01-02 and 9999-12-30"


def _held(moment: object) -> datetime:
    held: datetime = make(Heartbeat, last_heartbeat_at=moment).last_heartbeat_at
    return held


def test_every_time_is_held_to_the_same_rule() -> None:
    """A new field has to be added to the table above, and so gets its tests."""
    assert named(TIMES) == fields_that_hold(datetime, AwareDatetime)


@pytest.mark.parametrize(
    "moment",
    [datetime(2026, 3, 1, 12), "2026-03-01T12:00:00", date(2026, 3, 1)],  # noqa: DTZ001 (naive on purpose)
)
@each_field(TIMES)
def test_a_time_without_a_time_zone_is_refused(
    entity: type[Entity], field: str, moment: object
) -> None:
    assert complaints(entity, field, moment) == ["Input should have timezone info"]


@pytest.mark.parametrize(
    "moment",
    [
        EARLIEST_TIME - MICROSECOND,
        LATEST_TIME + MICROSECOND,
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5))),
        datetime(9999, 12, 31, 23, 59, tzinfo=timezone(timedelta(hours=-5))),
    ],
)
@each_field(TIMES)
def test_a_time_that_some_database_cannot_hold_is_refused(
    entity: type[Entity], field: str, moment: datetime
) -> None:
    assert complaints(entity, field, moment) == [OUT_OF_RANGE]


@pytest.mark.parametrize("moment", [EARLIEST_TIME, LATEST_TIME])
@each_field(TIMES)
def test_the_first_and_the_last_time_are_admitted(
    entity: type[Entity], field: str, moment: datetime
) -> None:
    assert complaints(entity, field, moment) == []


@for_all(MOMENTS)
def test_a_time_is_held_in_utc_and_equals_what_was_given(moment: datetime) -> None:
    held = _held(moment)
    assert held == moment
    assert held.tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    ["2026-03-01T12:00:00Z", "2026-03-01T17:45:00.000000+05:45", "2026-03-01T07:00:00-05:00"],
)
def test_a_time_given_as_text_is_held_in_utc(text: str) -> None:
    assert _held(text) == NOON
    assert _held(text).tzinfo is UTC


@pytest.mark.parametrize(("fold", "hour"), [(0, 5), (1, 6)], ids=["first", "second"])
def test_the_hour_that_autumn_repeats_is_told_apart(fold: int, hour: int) -> None:
    """Python calls a time in the repeated hour unequal to the same moment in any other zone."""
    moment = datetime(2026, 11, 1, 1, 30, fold=fold, tzinfo=ZoneInfo("America/New_York"))
    held = _held(moment)
    assert held == datetime(2026, 11, 1, hour, 30, tzinfo=UTC)
    assert held.fold == 0


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-01",
        "20260301",
        "2026-W09-7",
        "2026-03-01T12:00",
        "2026-03-01T12:00:00Z",
        "2026-03-01 12:00:00.123456789+05:45",
    ],
)
@each_field(DEADLINES)
def test_a_deadline_is_kept_as_the_text_given(entity: type[Entity], field: str, text: str) -> None:
    assert getattr(make(entity, **{field: text}), field) == text


@pytest.mark.parametrize(
    "text", ["", " ", "tomorrow", "2026-13-01", "2026-02-30", "12:00", " 2026-03-01", "1772366400"]
)
@each_field(DEADLINES)
def test_a_deadline_that_is_not_iso_8601_is_refused(
    entity: type[Entity], field: str, text: str
) -> None:
    assert complaints(entity, field, text) == ["Value error, must be an ISO 8601 date or time"]


@each_field(DEADLINES)
def test_a_deadline_with_a_nul_character_is_refused(entity: type[Entity], field: str) -> None:
    assert complaints(entity, field, "2026-03-01\x00") == [
        "Value error, must not contain a NUL character"
    ]

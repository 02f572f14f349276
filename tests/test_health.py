"""Which reasons a report of health gives for what, and which of them take an instance away."""

from dataclasses import replace
from typing import Final

import pytest

from synthorg.persistence import Degradation, Health, HealthReason, PersistenceConfig
from synthorg.persistence.health import UNFIT
from synthorg.persistence.sql.dialects.base import LARGE_LOG
from synthorg.persistence.sql.dialects.registry import create_dialect
from synthorg.persistence.sql.drivers.batching import CALLS_AT_ONCE
from synthorg.persistence.sql.drivers.pool_state import Load, PoolState
from synthorg.persistence.sql.health import OLD_UNIT_SECONDS, Answers, health_of

SERVER: Final = create_dialect(PersistenceConfig.from_url("postgresql://ada@host/agents"))

IDLE: Final = Load(
    kept=PoolState(limit=6),
    shared=PoolState(limit=4),
    write_queue=0,
    write_lock_is_held=None,
    log_bytes=None,
    oldest_unit_seconds=None,
)


def reasons_of(load: Load) -> list[HealthReason]:
    health = health_of(SERVER, load, Answers(latency_seconds=0.001), 5, has_ended=True)
    assert health.is_ready
    return [each.code for each in health.degraded]


@pytest.mark.parametrize(
    ("load", "reason"),
    [
        (replace(IDLE, shared=PoolState(4, 4, 4)), HealthReason.CONNECTIONS_EXHAUSTED),
        (replace(IDLE, shared=PoolState(1, 1, 1, 1)), HealthReason.CONNECTIONS_EXHAUSTED),
        (replace(IDLE, write_queue=CALLS_AT_ONCE + 1), HealthReason.WRITE_QUEUE_LONG),
        (replace(IDLE, log_bytes=LARGE_LOG + 1), HealthReason.LOG_LARGE),
        (replace(IDLE, oldest_unit_seconds=OLD_UNIT_SECONDS + 1), HealthReason.UNIT_OLD),
    ],
)
def test_what_is_under_way_degrades_and_leaves_the_instance_in_use(
    load: Load, reason: HealthReason
) -> None:
    assert reasons_of(load) == [reason]


@pytest.mark.parametrize(
    "load",
    [
        IDLE,
        replace(IDLE, kept=PoolState(6, 6, 6, 100), write_queue=CALLS_AT_ONCE),
        replace(IDLE, shared=PoolState(3, 4, 4)),
        replace(IDLE, shared=PoolState(1, 1, 1)),
        replace(IDLE, log_bytes=LARGE_LOG),
        replace(IDLE, oldest_unit_seconds=OLD_UNIT_SECONDS),
    ],
)
def test_what_a_busy_hour_brings_is_no_reason(load: Load) -> None:
    assert reasons_of(load) == []


def test_a_unit_may_be_as_old_as_others_wait_for_what_it_holds() -> None:
    url = "postgresql://ada@host/agents?pool_timeout_seconds=120"
    patient = create_dialect(PersistenceConfig.from_url(url))
    load = replace(IDLE, oldest_unit_seconds=100)
    assert health_of(patient, load, Answers(0.001), 5, has_ended=True).degraded == ()


def test_an_instance_gets_requests_unless_they_would_fail() -> None:
    for reason in HealthReason:
        degraded = (Degradation(code=reason, text="."),)
        health = Health(backend_name="sqlite", reachable=True, degraded=degraded)
        assert health.is_ready is (reason not in UNFIT)

"""`synthorg-db roll-up` adds up past days."""

import asyncio
import json
from datetime import UTC, datetime

from synthorg.persistence import PersistenceConfig, create_backend
from synthorg.persistence.testing.kinds import COST_RECORDS
from tests.cli.conftest import Command, command_on


def record(url: str, *days: int) -> None:
    """Record a cost on some days of March."""

    async def run() -> None:
        async with create_backend(PersistenceConfig.from_url(url)) as backend:
            moments = [datetime(2026, 3, day, 12, tzinfo=UTC) for day in days]
            await backend.cost_records.save_many(
                COST_RECORDS.make(timestamp=moment) for moment in moments
            )

    asyncio.run(run())


def test_past_days_are_rolled_up_until_the_day_that_is_given(migrated_url: str) -> None:
    record(migrated_url, 1, 1, 3, 4)
    command = command_on(migrated_url)

    result = command("roll-up", "--before", "2026-03-04", "--json")

    assert result.exit_code == 0
    assert json.loads(result.stdout) == {"days": 2, "rolled_up_before": "2026-03-04"}
    assert result.stderr.split() == ["2026-03-01", "2026-03-03"]
    again = command("roll-up", "--before", "2026-03-04")
    assert again.stdout == "rolled up: 0 days, now all before 2026-03-04\n"


def test_without_a_day_all_before_today_are_rolled_up(migrated_url: str) -> None:
    record(migrated_url, 1)

    outcome = json.loads(command_on(migrated_url)("roll-up", "--json").stdout)

    assert outcome["days"] == 1
    assert outcome["rolled_up_before"] >= "2026-11-26"


def test_a_database_without_tables_is_refused_with_what_to_do(command: Command) -> None:
    command("migrate")
    assert command("downgrade", "base", "--yes").exit_code == 0

    result = command("roll-up")

    assert result.exit_code == 1
    assert "migrate" in result.stderr

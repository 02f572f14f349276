"""`synthorg-db prune` removes what a policy does not keep."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from synthorg.persistence import PersistenceConfig, create_backend
from synthorg.persistence.testing.kinds import MESSAGES
from tests.cli.conftest import command_on


def save(url: str, *ages: int) -> None:
    """Save a message for each age in days."""

    async def run() -> None:
        async with create_backend(PersistenceConfig.from_url(url)) as backend:
            now = datetime.now(UTC)
            await backend.messages.save_many(
                MESSAGES.make(id=MESSAGES.key_for(str(age)), timestamp=now - timedelta(days=age))
                for age in ages
            )

    asyncio.run(run())


def test_a_policy_of_a_file_and_one_of_the_command_are_carried_out(
    migrated_url: str, tmp_path: Path
) -> None:
    save(migrated_url, 0, 1, 50, 100)
    file = tmp_path / "retention.toml"
    file.write_text('[messages]\nmax_age = "90d"\n')
    command = command_on(migrated_url)

    counted = command("prune", "--policy", str(file), "--dry-run", "--json")
    assert json.loads(counted.stdout)["kinds"] == [
        {"name": "messages", "removed": 0, "remaining": 1}
    ]
    done = command("prune", "--policy", str(file), "--budget", "1m")
    assert done.exit_code == 0
    assert "removed: 1 records, 0 remaining" in done.stdout
    done = command("prune", "--policy", str(file), "--keep", "messages=newest:1")
    assert "removed: 2 records, 0 remaining" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "say what is kept, by --policy or --keep"),
        (("--keep", "messages"), "--keep takes KIND=AGE"),
        (("--keep", "users=1d"), "cannot prune users"),
        (("--keep", "messages=soon"), "--keep is wrong about messages"),
        (("--keep", "messages=1d", "--budget", "soon"), "'soon' is no span of time"),
        (("--keep", "messages=1d"), "would remove all 1 records of messages"),
    ],
)
def test_what_makes_no_sense_is_refused(
    migrated_url: str, arguments: tuple[str, ...], complaint: str
) -> None:
    save(migrated_url, 50)
    result = command_on(migrated_url)("prune", *arguments)
    assert result.exit_code == 2
    assert complaint in result.stderr

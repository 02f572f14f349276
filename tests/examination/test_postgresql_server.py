"""What an examination finds of a PostgreSQL server whose settings can be changed."""

from collections.abc import Iterator

import pytest

from synthorg.persistence import PersistenceConfig, create_backend
from synthorg.persistence.diagnosis import examine_database
from synthorg.persistence.testing.kinds import TASKS
from tests.servers.base import Unavailable
from tests.servers.postgresql import CARELESS, PostgreSQL

ROWS = 1_500
DEAD = 10_000


@pytest.fixture
def server() -> Iterator[PostgreSQL]:
    """A server of the test alone, which is careless as all of ours."""
    for way in PostgreSQL.private_ways():
        try:
            with way as server:
                yield server
                return
        except Unavailable:
            continue
    pytest.fail(f"no programs of a server were found: {PostgreSQL.advice}")


def configure(server: PostgreSQL, setting: str) -> None:
    server.administrator.execute(f"ALTER SYSTEM {setting}")
    server.administrator.execute("SELECT pg_reload_conf()")


async def examined(url: str) -> list[tuple[str, str]]:
    found = await examine_database(PersistenceConfig.from_url(url))
    return [(each.topic, each.what) for each in found.findings]


async def test_what_a_server_may_lose_is_told_by_the_name_of_the_setting(
    server: PostgreSQL,
) -> None:
    with server.migrated_database() as url:
        told = [
            what.split(" is off")[0] for topic, what in await examined(url) if topic == "durability"
        ]
        assert sorted(told) == sorted(setting.partition("=")[0] for setting in CARELESS)


async def test_tables_that_nobody_cleans_are_told_until_somebody_does(server: PostgreSQL) -> None:
    configure(server, "SET autovacuum = off")
    with server.migrated_database() as url:
        async with create_backend(PersistenceConfig.from_url(url)) as backend:
            tasks = [TASKS.make(id=f"job-{number}") for number in range(ROWS)]
            for _ in range(2 + DEAD // ROWS):
                await backend.tasks.save_many(tasks)

        found = await examined(url)
        assert (
            "statistics",
            "autovacuum is off: tables bloat, and plans rest on no statistics",
        ) in found
        assert [what for topic, what in found if topic == "statistics" and "tasks has some" in what]
        assert [what for topic, what in found if topic == "space" and "tasks has more dead" in what]

        configure(server, "RESET autovacuum")
        async with (
            create_backend(PersistenceConfig.from_url(url)) as backend,
            backend.get_db().connect() as connection,
        ):
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            await connection.exec_driver_sql("VACUUM (ANALYZE) tasks")
        left = [
            topic for topic, what in await examined(url) if "tasks" in what or "autovac" in what
        ]
        assert left == []

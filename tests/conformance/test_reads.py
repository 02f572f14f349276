"""Where reads go, on databases that have no replicas: to the primary, whatever was asked for."""

from typing import Any, get_args

import pytest

from synthorg.persistence import Reads, UsageError
from synthorg.persistence.sql.backend import SQLPersistenceBackend
from synthorg.persistence.testing.kinds import TASKS


@pytest.mark.parametrize("reads", get_args(Reads))
async def test_code_that_asks_for_replicas_works_where_there_are_none(
    on_each_route: SQLPersistenceBackend, reads: Reads
) -> None:
    stores = on_each_route.reading(reads)
    await stores.tasks.save(TASKS.example)
    on_each_route.catch_up()
    assert await stores.tasks.list_tasks() == (TASKS.example,)
    assert (await stores.tasks.page()).items == (TASKS.example,)
    async with on_each_route.transaction(read_only=True, reads=reads) as unit:
        assert await unit.tasks.list_tasks() == (TASKS.example,)
    assert on_each_route.reading(reads) is stores


async def test_reads_that_nobody_knows_are_refused(on_each_route: SQLPersistenceBackend) -> None:
    unknown: Any = "standby"
    with pytest.raises(UsageError, match="'primary', 'replica'"):
        on_each_route.reading(unknown)
    with pytest.raises(UsageError, match="'primary', 'replica'"):
        async with on_each_route.transaction(read_only=True, reads=unknown):
            pass


@pytest.mark.parametrize("reads", get_args(Reads))
async def test_a_unit_that_may_write_is_on_the_primary(
    on_each_route: SQLPersistenceBackend, reads: Reads
) -> None:
    with pytest.raises(UsageError, match="read_only=True"):
        async with on_each_route.transaction(reads=reads):
            pass

"""Reads on replicas where the primary does not say how far it has come."""

import pytest
from sqlalchemy import make_url

from synthorg.persistence.sql.backend import SQLPersistenceBackend
from tests.conftest import ServerPool
from tests.dialects.places import connected, task
from tests.servers.mariadb import MariaDB


async def test_a_primary_without_a_binary_log_answers_itself_and_says_so_once(
    server_pool: ServerPool, caplog: pytest.LogCaptureFixture
) -> None:
    server = server_pool.get(MariaDB)
    assert isinstance(server, MariaDB)
    if server.administrator.execute("SELECT @@log_bin") != [(0,)]:
        pytest.skip("the server has a binary log")
    with server.migrated_database() as url:
        place = make_url(url)
        itself = f"{place.host}:{place.port}"
        async with connected(url, replicas=itself, reads="replica") as backend:
            assert isinstance(backend, SQLPersistenceBackend)
            for number in range(3):
                await backend.tasks.save(task(str(number)))
                assert len(await backend.tasks.list_tasks()) == number + 1
                async with backend.transaction(read_only=True) as unit:
                    assert len(await unit.tasks.list_tasks()) == number + 1
            assert backend.replicas is not None
            (replica,) = backend.replicas.all
            assert (replica.answers, replica.reason) == (0, None)
    told = [vars(each)["event"] for each in caplog.records if each.levelname == "WARNING"]
    assert told == ["position_unknown"]

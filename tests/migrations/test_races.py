"""Any number of processes, threads and tasks may migrate at once: one does, the others wait."""

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier

from alembic.config import main as alembic_main

from synthorg.persistence.config import DATABASE_URL_VARIABLE
from tests.migrations.support import BUSY_SECONDS, CHECKOUT, Schema, Site, migrated_site, site_at
from tests.servers.base import Server

PROCESSES = 8
OPERATORS = 2
TASKS = 4
DATABASES = 2

Outcome = tuple[list[str], Schema]


async def migrate(url: str) -> Outcome:
    """Migrate a database on a connection of its own, and tell what is there then."""
    async with site_at(url) as site:
        await site.backend.migrate()
        return await site.versions(), await site.schema()


async def migrate_alone(server: Server) -> Outcome:
    """Tell what is there when nobody else migrates at the same time."""
    async with migrated_site(server) as site:
        return await site.versions(), await site.schema()


def race_in_process(barrier: Barrier, url: str) -> None:
    barrier.wait(BUSY_SECONDS)
    asyncio.run(migrate(url))


def race_by_command(barrier: Barrier, url: str) -> None:
    os.environ[DATABASE_URL_VARIABLE] = url
    barrier.wait(BUSY_SECONDS)
    alembic_main(["-c", str(CHECKOUT / "alembic.ini"), "upgrade", "head"])


def race_in_threads(urls: list[str]) -> list[Outcome]:
    barrier = threading.Barrier(len(urls))

    def run(url: str) -> Outcome:
        barrier.wait(BUSY_SECONDS)
        return asyncio.run(migrate(url))

    with ThreadPoolExecutor(len(urls)) as threads:
        return list(threads.map(run, urls))


def test_processes_and_operators_that_migrate_at_once_all_find_it_done(
    shared_server: Server,
) -> None:
    fresh = get_context("forkserver")  # imports once, and shares nothing with this process
    fresh.set_forkserver_preload([__name__])
    barrier = fresh.Barrier(PROCESSES + OPERATORS)
    targets = [race_in_process] * PROCESSES + [race_by_command] * OPERATORS
    with shared_server.empty_database() as url:
        racers = [fresh.Process(target=target, args=(barrier, url)) for target in targets]
        for racer in racers:
            racer.start()
        for racer in racers:
            racer.join(BUSY_SECONDS)

        assert [racer.exitcode for racer in racers] == [0] * len(racers)
        assert asyncio.run(migrate(url)) == asyncio.run(migrate_alone(shared_server))


async def test_tasks_that_migrate_one_database_at_once_all_find_it_done(
    shared_server: Server,
) -> None:
    with shared_server.empty_database() as url:
        outcomes = await asyncio.gather(*map(migrate, [url] * TASKS))

    assert outcomes == [await migrate_alone(shared_server)] * TASKS


async def test_tasks_of_one_backend_that_migrate_at_once_all_find_it_done(
    empty_site: Site, server: Server
) -> None:
    await asyncio.gather(*[empty_site.backend.migrate() for _ in range(TASKS)])

    assert (await empty_site.versions(), await empty_site.schema()) == await migrate_alone(server)


async def test_tasks_that_migrate_different_databases_at_once_do_not_mix_them_up(
    server: Server,
) -> None:
    with ExitStack() as stack:
        urls = [stack.enter_context(server.empty_database()) for _ in range(DATABASES)]
        outcomes = await asyncio.gather(*map(migrate, urls))

    assert outcomes == [await migrate_alone(server)] * DATABASES


def test_threads_that_migrate_one_database_at_once_all_find_it_done(shared_server: Server) -> None:
    with shared_server.empty_database() as url:
        outcomes = race_in_threads([url] * TASKS)

    assert outcomes == [asyncio.run(migrate_alone(shared_server))] * TASKS


def test_threads_that_migrate_different_databases_at_once_do_not_mix_them_up(
    server: Server,
) -> None:
    with ExitStack() as stack:
        urls = [stack.enter_context(server.empty_database()) for _ in range(DATABASES)]
        outcomes = race_in_threads(urls)

    assert outcomes == [asyncio.run(migrate_alone(server))] * DATABASES

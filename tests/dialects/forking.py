"""A program whose children end as programs do, with all that they inherited.

Its arguments are `WHERE URL...`. It forks in no call (`outside`) or with a transaction
open, which the child leaves (`inside`), on one database after the other.

It exits with 0 if each child ended soon, and the parent goes on undisturbed.
"""

import asyncio
import os
import signal
import sys

from synthorg.persistence import PersistenceConfig, TransactionalBackend, create_backend
from tests.dialects.places import task

LONGEST_LIFE_SECONDS = 20


async def prepare(backend: TransactionalBackend) -> None:
    await backend.connect()
    await backend.tasks.save(task("1"))
    await asyncio.gather(*(backend.tasks.get("1") for _ in range(20)))


async def fork_inside(backend: TransactionalBackend) -> tuple[int, int]:
    async with backend.transaction() as unit:
        await unit.tasks.save(task("0"))
        child = os.fork()
        if child == 0:
            signal.alarm(LONGEST_LIFE_SECONDS)
            raise LookupError
        _, status = os.waitpid(child, 0)  # noqa: ASYNC222 (nothing else is to be done)
    return child, status


def fork_outside() -> tuple[int, int]:
    child = os.fork()
    if child == 0:
        signal.alarm(LONGEST_LIFE_SECONDS)
        return 0, 0
    return os.waitpid(child, 0)


async def go_on(backend: TransactionalBackend, expected: int) -> None:
    async with asyncio.timeout(LONGEST_LIFE_SECONDS):
        async with backend.transaction() as unit:
            await unit.tasks.save(task("2"))
        await backend.tasks.save(task("3"))
        assert len(await backend.tasks.list_tasks()) == expected
        await backend.disconnect()


def fork_on(url: str, *, inside: bool) -> bool:
    """Fork on a database, and tell the child, which has to end now, from the parent."""
    backend = create_backend(PersistenceConfig.from_url(url))
    with asyncio.Runner() as runner:
        runner.run(prepare(backend))
        try:
            child, status = runner.run(fork_inside(backend)) if inside else fork_outside()
        except LookupError:
            return True
        if child:
            runner.run(go_on(backend, expected=4 if inside else 3))
            if status:
                sys.exit(status)
    return child == 0


def main() -> None:
    where, *urls = sys.argv[1:]
    for url in urls:
        if fork_on(url, inside=where == "inside"):
            return


if __name__ == "__main__":
    main()

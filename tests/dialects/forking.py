"""A program whose child ends as programs do, with all that it inherited: `forking URL WHERE`.

It forks in no call (`outside`) or with a transaction open, which the child leaves (`inside`).

It exits with 0 if the child ended soon, and the parent goes on undisturbed.
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


def main() -> None:
    backend = create_backend(PersistenceConfig.from_url(sys.argv[1]))
    inside = sys.argv[2] == "inside"
    with asyncio.Runner() as runner:
        runner.run(prepare(backend))
        try:
            child, status = runner.run(fork_inside(backend)) if inside else fork_outside()
        except LookupError:
            return
        if child:
            runner.run(go_on(backend, expected=4 if inside else 3))
            sys.exit(status)


if __name__ == "__main__":
    main()

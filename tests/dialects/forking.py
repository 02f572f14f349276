"""A program whose child ends as programs do, with all that it inherited: `forking URL`.

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


async def go_on(backend: TransactionalBackend) -> None:
    async with asyncio.timeout(LONGEST_LIFE_SECONDS):
        async with backend.transaction() as unit:
            await unit.tasks.save(task("2"))
        await backend.tasks.save(task("3"))
        assert len(await backend.tasks.list_tasks()) == 3
        await backend.disconnect()


def main() -> None:
    backend = create_backend(PersistenceConfig.from_url(sys.argv[1]))
    with asyncio.Runner() as runner:
        runner.run(prepare(backend))
        child = os.fork()
        if child:
            _, status = os.waitpid(child, 0)
            runner.run(go_on(backend))
    if child:
        sys.exit(status)
    signal.alarm(LONGEST_LIFE_SECONDS)


if __name__ == "__main__":
    main()

"""A program that lets many processes migrate one database at the same moment.

They are forked from one that has imported everything, so that they start together.
"""

import asyncio
import os
import sys
from itertools import cycle, islice

from synthorg.persistence import PersistenceConfig, create_backend


async def migrate(url: str) -> None:
    """Migrate as an application does."""
    backend = create_backend(PersistenceConfig.from_url(url))
    await backend.connect()
    try:
        await backend.migrate()
    finally:
        await backend.disconnect()


def main(urls: str, processes: str) -> None:
    """Start the processes, each at one of the URLs in turn, and fail if one of them does."""
    barrier, start = os.pipe()
    children = []
    for url in islice(cycle(urls.split()), int(processes)):
        child = os.fork()
        if child == 0:
            os.close(start)
            os.read(barrier, 1)  # until the parent closes its end
            asyncio.run(migrate(url))
            os._exit(0)
        children.append(child)
    os.close(start)
    statuses = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    sys.exit(max(map(abs, statuses)))


if __name__ == "__main__":
    main(*sys.argv[1:])

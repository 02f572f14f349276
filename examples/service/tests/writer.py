"""Save messages from a process of its own: python writer.py URL CHANNEL COUNT.

It prints the id of each message, and when saving it has returned, as JSON.
"""

import asyncio
import json
import random
import sys
import time
from datetime import UTC, datetime

from synthorg.entities import Message, MessageType
from synthorg.persistence import ManagedBackend, PersistenceConfig, create_backend

AT_ONCE = 4
PAUSE_SECONDS = 0.06
HELD_SECONDS = 0.1
"""How long some messages are saved and not yet committed, so that later ones overtake them."""


async def say(backend: ManagedBackend, channel: str, numbers: range) -> list[tuple[str, float]]:
    """Save messages one after the other."""
    chance = random.Random(numbers.start)
    said: list[tuple[str, float]] = []
    for number in numbers:
        message = Message(
            timestamp=datetime.now(UTC),
            sender=f"agent-{numbers.start}",
            to="all",
            type=MessageType.STATUS_REPORT,
            channel=channel,
            content=f"Message {number}",
        )
        if chance.random() < 1 / 20:
            async with backend.transaction() as work:
                await work.messages.save(message)
                await asyncio.sleep(HELD_SECONDS)
        else:
            await backend.messages.save(message)
        said.append((str(message.id), time.time()))
        await asyncio.sleep(chance.uniform(0, PAUSE_SECONDS))
    return said


async def main(url: str, channel: str, count: int) -> None:
    """Save them by several tasks at once."""
    async with create_backend(PersistenceConfig.from_url(url)) as backend:
        share = count // AT_ONCE
        parts = [range(part * share, (part + 1) * share) for part in range(AT_ONCE)]
        said = await asyncio.gather(*[say(backend, channel, part) for part in parts])
    print(json.dumps([each for part in said for each in part]))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))

"""The listing of the page on behaviour follows messages as it says."""

import json
import runpy
from pathlib import Path
from typing import Final

from synthorg.persistence import PersistenceConfig, create_backend
from synthorg.persistence.testing.kinds import MESSAGES
from tests.listings import CHECKOUT, listings

PAGE: Final = CHECKOUT / "docs" / "behaviour.md"


async def test_the_events_of_a_channel_are_those_after_the_last_one_that_was_seen(
    tmp_path: Path,
) -> None:
    (listing,) = listings(PAGE, "python")
    events = runpy.run_path(str(listing.write(tmp_path)))["events"]
    config = PersistenceConfig.from_url(f"sqlite:///{tmp_path / 'agents.db'}")
    seen = []
    async with create_backend(config, migrate=True) as backend:
        for key in ("a", "b"):
            await backend.messages.save(MESSAGES.altered(MESSAGES.keyed(key), channel="#general"))
        first = await backend.messages.newer_than(channel="#general", limit=1)
        following = events(backend.messages, first.cursor)
        seen.append(await anext(following))
        await backend.messages.save(MESSAGES.altered(MESSAGES.keyed("c"), channel="#general"))
        seen.append(await anext(following))
        await following.aclose()
    told = [dict(line.split(": ", 1) for line in event.splitlines() if line) for event in seen]
    assert [json.loads(each["data"])["id"] for each in told] == [
        str(MESSAGES.keyed(key).id) for key in "bc"
    ]
    assert told[0]["id"] != told[1]["id"]

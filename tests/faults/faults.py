"""What goes wrong between an application and its server."""

import asyncio
from contextlib import suppress
from random import Random
from typing import Final

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.dialects.places import Place
from tests.dialects.relay import Relay
from tests.dialects.test_servers import kill, other_sessions

LONGEST_PEACE: Final = 0.2
SILENCE_SECONDS: Final = 0.3
ANYTHING: Final = b"."


class Faults:
    """Makes something go wrong, again and again.

    Args:
        place: The database.
        relay: What lies between it and the application.
        killer: A connection past the relay.
        spared: The sessions that are not the application's.
        random: What goes wrong, and when.
    """

    def __init__(
        self,
        place: Place,
        relay: Relay,
        killer: AsyncConnection,
        spared: set[int],
        random: Random,
    ) -> None:
        self._place = place
        self._relay = relay
        self._killer = killer
        self._spared = spared
        self._random = random
        relay.cuts_once = True

    async def go_on(self) -> None:
        """Go on until cancelled."""
        try:
            while True:
                await asyncio.sleep(self._random.uniform(0, LONGEST_PEACE))
                match self._random.randrange(4):
                    case 0:
                        await self._kill_some()
                    case 1:
                        self._relay.cut()
                    case 2:
                        self._relay.cut_at = ANYTHING
                    case _:
                        await self._keep_silent()
        finally:
            self._relay.cut_at = None
            self._relay.is_silent = False

    async def _kill_some(self) -> None:
        await self._killer.rollback()  # PostgreSQL shows a transaction one list of sessions
        sessions = sorted(await other_sessions(self._place, self._killer) - self._spared)
        for session in self._random.sample(sessions, self._random.randint(0, len(sessions))):
            with suppress(DBAPIError):  # it has ended meanwhile
                await kill(self._place, self._killer, {session})

    async def _keep_silent(self) -> None:
        self._relay.is_silent = True
        await asyncio.sleep(SILENCE_SECONDS)
        self._relay.is_silent = False
        self._relay.cut()  # since what was swallowed is missing

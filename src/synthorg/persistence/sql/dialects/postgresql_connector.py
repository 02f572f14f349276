"""Opening a connection to PostgreSQL, made ready and looked at once, whichever driver it is of."""

import asyncio
import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import suppress
from math import ceil
from types import ModuleType
from typing import Any, Final

from synthorg.persistence.config import PostgreSQLConfig
from synthorg.persistence.sql.dialects.postgresql_session import (
    QUESTION,
    assignments,
    found,
)
from synthorg.persistence.sql.drivers.faults import Diagnosis, UnusableError

Diagnose = Callable[[BaseException], Diagnosis]

BEGIN: Final = "BEGIN; SET LOCAL statement_timeout = 0"
"""Begins without a limit that the operator may have chosen for other work."""

NOTICE_SECONDS: Final = 2.0
"""How long a notice may take from one session to another."""

POOLER: Final = (
    "a pooler is in between, and does not show that it keeps this session on one connection of the "
    "server; where it does not, a statement may run that another process has prepared under the "
    "same name: set pool_mode = session in the pooler, or connect to the server itself"
)


def with_advice(refusal: str) -> str:
    """Add to the words of a server, or of a pooler, what to do about them.

    Args:
        refusal: The words.
    """
    if "startup parameter" in refusal:
        return f"{refusal}; name that parameter in ignore_startup_parameters of the pooler"
    return refusal


class Connector(ABC):
    """Opens connections.

    Args:
        module: The driver.
        config: Where to.
        settings: What sessions are set to beside what all of them are.
        diagnose: Tells what an error means.
    """

    def __init__(
        self,
        module: ModuleType,
        config: PostgreSQLConfig,
        settings: Mapping[str, str],
        diagnose: Diagnose,
    ) -> None:
        self.config = config
        self._module = module
        self._arguments = self.arguments_for(config)
        self._diagnose = diagnose
        milliseconds = ceil(config.statement_timeout_seconds * 1000)
        self._settings = {"statement_timeout": str(milliseconds), **settings}
        if config.schema_name is not None:
            self._settings["search_path"] = config.schema_name
        self._pools_sessions = False
        """Whether a pooler is in between, but one that keeps a session on its connection."""

    @property
    @abstractmethod
    def errors(self) -> tuple[type[Exception], ...]:
        """What the driver raises."""

    @abstractmethod
    def arguments_for(self, config: PostgreSQLConfig) -> Mapping[str, Any]:
        """Say how to connect, in the driver's own arguments."""

    @abstractmethod
    async def connect(self) -> Any:
        """Connect, or raise; what it opened is closed when this is cancelled."""

    @abstractmethod
    def close(self, connection: Any) -> None:
        """Close a connection without a word to the server."""

    @abstractmethod
    def announced_pid(self, connection: Any) -> int:
        """Tell which process was said to serve the connection when it was opened."""

    @abstractmethod
    async def ask(self, connection: Any, question: str) -> Any:
        """Run a query, without preparing it under a name, and give its row."""

    @abstractmethod
    async def run(self, connection: Any, statements: str) -> None:
        """Run statements without values, in one trip."""

    @abstractmethod
    async def hears(self, connection: Any, channel: str, other: Any) -> bool:
        """Tell whether an idle connection is told what another one notifies.

        Args:
            connection: The connection.
            channel: What it listens to.
            other: The other connection.
        """

    async def ping(self, connection: Any) -> None:
        """Ask a connection that was handed over for a sign of life."""
        await self.run(connection, "SELECT 1")

    async def hand_over(self, connection: Any) -> None:  # noqa: B027 (most have nothing to do)
        """Do what is left to do before SQLAlchemy gets a connection."""

    async def __call__(self) -> Any:
        """Open a connection that is as the library relies on.

        Raises:
            UnusableError: If none can be had.
        """
        seconds = self.config.connect_timeout_seconds
        errors: tuple[type[Exception], ...] = (OSError, *self.errors)
        try:
            async with asyncio.timeout(seconds):
                connection = await self.connect()
                try:
                    await self._make_ready(connection)
                    await self.hand_over(connection)
                except BaseException:
                    self.close(connection)
                    raise
        except TimeoutError:
            failure = UnusableError(f"it did not answer within {seconds:g} s", is_silence=True)
        except errors as error:
            failure = UnusableError(self._diagnose(error).reason)
        else:
            return connection
        raise failure

    async def _make_ready(self, connection: Any) -> None:
        await self._begin(connection)
        session = found(await self.ask(connection, QUESTION))
        session.refuse_what_cannot_be_set()
        if session.pid != self.announced_pid(connection) and not self._pools_sessions:
            await self.run(connection, "COMMIT")
            await self._refuse_changing_sessions(connection)
            await self._begin(connection)
        # Not earlier, since a pooler might hand it on to others.
        settings = assignments(session.settings(self._settings))
        await self.run(connection, f"{settings}; COMMIT")

    async def _begin(self, connection: Any) -> None:
        try:
            await self.run(connection, BEGIN)
        except self.errors as error:
            reason = self._diagnose(error).reason
        else:
            return
        raise UnusableError(
            f"it lets no transaction begin ({reason}), as a pooler does whose pool_mode is "
            "statement; set pool_mode = session there, or connect to the server itself"
        )

    async def _refuse_changing_sessions(self, connection: Any) -> None:
        """Refuse a pooler that gives each transaction a connection of its own.

        A pooler announces a process of its own. It keeps a session on one connection of the server
        if a notice arrives while nothing is asked, which takes a connection that is held.
        """
        heard = False
        with suppress(*self.errors):  # a reason more to refuse it
            other = await self.connect()
            try:
                heard = await self.hears(connection, f"synthorg_{secrets.token_hex(8)}", other)
            finally:
                self.close(other)
        if not heard:
            raise UnusableError(POOLER)
        self._pools_sessions = True

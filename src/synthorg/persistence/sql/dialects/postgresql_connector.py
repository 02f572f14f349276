"""Opening a connection to PostgreSQL, made ready and looked at once, whichever driver it is of."""

import asyncio
import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import suppress
from math import ceil
from types import MappingProxyType, ModuleType
from typing import Any, ClassVar, Final

from sqlalchemy.ext.asyncio import AsyncEngine

from synthorg.persistence.config import Host, PostgreSQLConfig
from synthorg.persistence.sql.dialects.hosts import Hosts
from synthorg.persistence.sql.dialects.postgresql_session import (
    QUESTION,
    ROLE_QUESTION,
    Found,
    assignments,
    assignments_within,
    found,
    pinned,
)
from synthorg.persistence.sql.drivers.faults import Diagnosis, UnusableError, refusal_of
from synthorg.persistence.sql.drivers.openings import Openings

Diagnose = Callable[[BaseException], Diagnosis]

BEGIN: Final = "BEGIN; SET LOCAL statement_timeout = 0"
"""Begins without a limit that the operator may have chosen for other work."""

NOTICE_SECONDS: Final = 2.0
"""How long a notice may take from one session to another."""

LOOKS: Final = 3
"""How often two sessions are compared before a notice is waited for."""

UNEXPECTED: Final = (
    "pooler is 'none', but the server says that another process serves this session than the one "
    "that was announced, as behind a pooler; leave pooler out, so that it is found out, or name "
    "what is in between"
)
STATEMENTS: Final = (
    "as a pooler does whose pool_mode is statement; set pool_mode = transaction or session there, "
    "or connect to the server itself"
)

PID_QUESTION: Final = "SELECT pg_backend_pid()"


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
        openings: Has it wait for its turn.
    """

    def __init__(
        self,
        module: ModuleType,
        config: PostgreSQLConfig,
        settings: Mapping[str, str],
        diagnose: Diagnose,
        openings: Openings,
    ) -> None:
        self.config = config
        self._module = module
        self._arguments = self.arguments_for(config)
        self._hosts = Hosts(config.hosts)
        self._diagnose = diagnose
        self._openings = openings
        milliseconds = ceil(config.statement_timeout_seconds * 1000)
        self._settings = {"statement_timeout": str(milliseconds), **settings}
        if config.schema_name is not None:
            self._settings["search_path"] = config.schema_name
        self._pooler = config.pooler
        """What is in between, as far as it is known."""
        self.settings_of_transactions = ""
        """The statement that sets a transaction up, where sessions are not the library's own."""

    @property
    def is_stateless(self) -> bool:
        """Whether a session lasts no longer than a transaction."""
        return self._pooler == "transaction"

    @property
    def adaptation(self) -> Mapping[str, Any]:
        """The arguments by which SQLAlchemy adapts a connection that was opened."""
        return {}

    def watch(self, engine: AsyncEngine) -> None:  # noqa: B027 (most have nothing to watch)
        """See to it that transactions of an engine are set up, if connections do not themselves.

        Args:
            engine: The engine.
        """

    settings_for_driver: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """What the driver would set by itself, in a session that may not be its own."""

    @property
    @abstractmethod
    def errors(self) -> tuple[type[Exception], ...]:
        """What the driver raises."""

    @abstractmethod
    def arguments_for(self, config: PostgreSQLConfig) -> Mapping[str, Any]:
        """Say how to connect to any host, in the driver's own arguments."""

    @abstractmethod
    async def connect(self, host: Host, *, stateless: bool = False) -> Any:
        """Connect, or raise; what it opened is closed when this is cancelled.

        Args:
            host: The server.
            stateless: Whether the connection may prepare nothing under a name.
        """

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
        return await self._openings.open(lambda: self._hosts.open(self._open_in_time))

    async def _open_in_time(self, host: Host) -> Any:
        seconds = self.config.connect_timeout_seconds
        errors: tuple[type[Exception], ...] = (OSError, *self.errors)
        try:
            async with asyncio.timeout(seconds):
                return await self._open(host)
        except TimeoutError:
            failure = UnusableError(
                f"it did not answer within {seconds:g} s", is_silence=True, may_pass=True
            )
        except errors as error:
            failure = refusal_of(self._diagnose(error))
        raise failure

    async def _open(self, host: Host) -> Any:
        while True:
            was_stateless = self.is_stateless
            connection = await self.connect(host, stateless=was_stateless)
            try:
                await self._make_ready(connection, host)
                await self.hand_over(connection)
            except BaseException:
                self.close(connection)
                raise
            if self.is_stateless is was_stateless:
                return connection
            self.close(connection)  # that was how it was found out

    async def _make_ready(self, connection: Any, host: Host) -> None:
        await self._begin(connection)
        session = found(await self.ask(connection, QUESTION))
        session.refuse_what_cannot_be_set()
        session.refuse_another_than(self.config.target)
        if session.pid != self.announced_pid(connection):
            await self._look_at_pooler(connection, host)
        if self.is_stateless:
            role = await self.ask(connection, ROLE_QUESTION)
            settings = pinned(role, {**self._settings, **self.settings_for_driver})
            self.settings_of_transactions = assignments_within(settings)
            await self.run(connection, "COMMIT")
        else:
            await self._set_up(connection, session)

    async def _set_up(self, connection: Any, session: Found) -> None:
        """Set the session up, not earlier than it is known to be the library's own."""
        settings = assignments(session.settings(self._settings))
        await self.run(connection, f"{settings}; COMMIT")

    async def _begin(self, connection: Any) -> None:
        try:
            await self.run(connection, BEGIN)
        except self.errors as error:
            diagnosis = self._diagnose(error)
        else:
            return
        if diagnosis.is_crowd:
            raise refusal_of(diagnosis)
        raise UnusableError(f"it lets no transaction begin ({diagnosis.reason}), {STATEMENTS}")

    async def _look_at_pooler(self, connection: Any, host: Host) -> None:
        """Find out what a pooler does that has announced a process of its own, unless it is known.

        Whatever does not show that it keeps sessions is taken for one that does not, which is right
        for all of them.
        """
        if self._pooler == "none":
            raise UnusableError(UNEXPECTED)
        if self._pooler is None:
            await self.run(connection, "COMMIT")
            keeps_sessions = await self._keeps_sessions(connection, host)
            self._pooler = "session" if keeps_sessions else "transaction"
            await self._begin(connection)

    async def _keeps_sessions(self, connection: Any, host: Host) -> bool:
        """Tell whether a pooler keeps a session on one connection of the server.

        It does if a notice arrives while nothing is asked, which takes a connection that is held.
        """
        heard = False
        with suppress(*self.errors):  # a reason more not to rely on it
            # The one that listens, since a driver may prepare that.
            other = await self.connect(host, stateless=True)
            try:
                if not await self._share_a_process(connection, other):
                    channel = f"synthorg_{secrets.token_hex(8)}"
                    heard = await self.hears(other, channel, connection)
                    if not heard:
                        await self.run(other, f"UNLISTEN {channel}")
            finally:
                self.close(other)
        return heard

    async def _share_a_process(self, one: Any, other: Any) -> bool:
        """Tell whether two sessions were seen to be served by the same process.

        Most poolers use first what was given back last, and so show at once that they pool
        transactions; unlike a notice, the question leaves nothing behind.
        """
        seen: list[set[int]] = [set(), set()]
        for _ in range(LOOKS):
            for session, pids in zip((one, other), seen, strict=True):
                (pid,) = await self.ask(session, PID_QUESTION)
                pids.add(pid)
        return bool(seen[0] & seen[1])

"""Opening connections of psycopg."""

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from typing import Any, Final

from sqlalchemy import Connection, event
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import await_only

from synthorg.persistence.config import Host, PostgreSQLConfig
from synthorg.persistence.sql.dialects.passwords import current_password
from synthorg.persistence.sql.dialects.postgresql_connector import (
    NOTICE_SECONDS,
    Connector,
    with_advice,
)
from synthorg.persistence.sql.dialects.postgresql_errors import crowd_of
from synthorg.persistence.sql.drivers.cancellation import run_to_completion
from synthorg.persistence.sql.drivers.faults import UnusableError, refusal_of

GRACE_SECONDS: Final = 1.0
"""How long a cancelled caller waits for a connection that is about to be there."""

SHORTEST_TIMEOUT: Final = 2
"""What the driver makes of a shorter one; it knows whole seconds alone."""


class PsycopgConnector(Connector):
    """Opens connections of psycopg."""

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What the driver raises, as `Connector` says."""
        return (self._module.Error,)

    async def connect(self, host: Host, *, stateless: bool = False) -> Any:
        """Connect, as `Connector` says."""
        arguments = {**self._arguments, "host": host.name, "port": host.port}
        more: dict[str, Any] = {"prepare_threshold": None} if stateless else {}
        password = current_password(self.config)
        if password is not None:
            more["password"] = password
        connecting = asyncio.ensure_future(
            self._module.AsyncConnection.connect(**arguments, **more, autocommit=True)
        )
        try:
            await asyncio.wait([connecting])
        except asyncio.CancelledError:
            # The driver leaves a half open connection to the garbage collector.
            await run_to_completion(self._given_up(connecting))
            raise
        try:
            return connecting.result()
        except self._module.OperationalError as error:
            reason = self._reason(error, password)
        crowd = crowd_of(reason)
        if crowd is not None:
            raise refusal_of(crowd)
        # Without a code, a refusal for good cannot be told from one for the moment.
        raise UnusableError(reason, may_pass=True)

    async def _given_up(self, connecting: asyncio.Future[Any]) -> None:
        await asyncio.wait([connecting], timeout=GRACE_SECONDS)
        connecting.cancel()
        await asyncio.wait([connecting])
        if not connecting.cancelled() and connecting.exception() is None:
            self.close(connecting.result())

    def _reason(self, error: Exception, password: str | None) -> str:
        """Find the server's or the system's own words, since the driver has no code for them."""
        text, *_ = str(error).splitlines() or [""]
        reason = text.rpartition(" failed: ")[2].removeprefix("FATAL:").strip()
        if not reason or (password is not None and password in reason):
            return "the server could not be reached, or refused the connection"
        return with_advice(reason)

    def close(self, connection: Any) -> None:
        """Close a connection, as `Connector` says."""
        connection.pgconn.finish()

    def announced_pid(self, connection: Any) -> int:
        """Tell who was said to serve, as `Connector` says."""
        return int(connection.info.backend_pid)

    async def ask(self, connection: Any, question: str) -> Any:
        """Run a query, as `Connector` says."""
        return await (await connection.execute(question, prepare=False)).fetchone()

    async def run(self, connection: Any, statements: str) -> None:
        """Run statements, as `Connector` says."""
        await connection.execute(statements, prepare=False)

    async def hears(self, connection: Any, channel: str, other: Any) -> bool:
        """Tell whether notices arrive, as `Connector` says."""
        await connection.execute(f"LISTEN {channel}", prepare=False)
        await other.execute(f"NOTIFY {channel}", prepare=False)
        heard = False
        async with aclosing(connection.notifies(timeout=NOTICE_SECONDS)) as notices:
            async for notice in notices:
                # On a connection that many share, what others listen to arrives too.
                if heard := notice.channel == channel:
                    break
        await connection.execute(f"UNLISTEN {channel}", prepare=False)
        return heard

    async def ping(self, connection: Any) -> None:
        """Ask for a sign of life, as `Connector` says."""
        await connection.set_autocommit(True)  # else that would begin a transaction
        await super().ping(connection)
        await connection.set_autocommit(False)

    def watch(self, engine: AsyncEngine) -> None:
        """Set transactions up when they begin, as `Connector` says."""

        def begun(connection: Connection) -> None:
            driver: Any = connection.connection.driver_connection
            if self.is_stateless and not driver.autocommit:
                await_only(driver.execute(self.settings_of_transactions, prepare=False))

        event.listen(engine.sync_engine, "begin", begun)

    async def hand_over(self, connection: Any) -> None:
        """Let SQLAlchemy begin transactions, which it takes for the state of a new connection."""
        await connection.set_autocommit(False)

    def arguments_for(self, config: PostgreSQLConfig) -> Mapping[str, Any]:
        """Say how to connect, as `Connector` says."""
        tls = config.tls
        files = {"sslrootcert": tls.ca, "sslcert": tls.certificate, "sslkey": tls.key}
        arguments: dict[str, Any] = {
            # Where they are given, libpq takes them from no environment (PGHOSTADDR, PGOPTIONS).
            "hostaddr": "",
            "options": "",
            "target_session_attrs": "any",
            "user": config.username,
            "dbname": config.database,
            "client_encoding": "UTF8",  # from the first word on, whatever PGCLIENTENCODING says
            "application_name": config.application_name,
            "connect_timeout": max(SHORTEST_TIMEOUT, round(config.connect_timeout_seconds)),
            "sslmode": "disable" if tls.mode == "off" else tls.mode,
            **files,
        }
        return {name: value for name, value in arguments.items() if value is not None}

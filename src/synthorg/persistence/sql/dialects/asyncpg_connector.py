"""Opening connections of asyncpg."""

import asyncio
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from synthorg.persistence.config import Host, PostgreSQLConfig
from synthorg.persistence.sql.dialects.passwords import current_password
from synthorg.persistence.sql.dialects.postgresql_connector import (
    NOTICE_SECONDS,
    Connector,
)
from synthorg.persistence.sql.dialects.tls import client_context
from synthorg.persistence.sql.drivers.asyncpg_stateless import stateless_connection


class AsyncpgConnector(Connector):
    """Opens connections of asyncpg."""

    settings_for_driver: ClassVar[Mapping[str, str]] = MappingProxyType({"jit": "off"})

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What the driver raises, as `Connector` says."""
        module = self._module
        return module.PostgresError, module.InterfaceError, module.InternalClientError

    async def connect(self, host: Host, *, stateless: bool = False) -> Any:
        """Connect, as `Connector` says."""
        place = {"host": host.name, "port": host.port}
        arguments = {**self._arguments, **place, "password": current_password(self.config)}
        if not stateless:
            return await self._module.connect(**arguments)
        return await self._module.connect(
            **arguments,
            connection_class=stateless_connection(self._module),
            statement_cache_size=0,
        )

    @property
    def adaptation(self) -> Mapping[str, Any]:
        """Have nothing prepared under a name, or run twice, as `Connector` says."""
        if not self.is_stateless:
            return {}
        return {"prepared_statement_cache_size": 0, "prepared_statement_name_func": _no_name}

    async def hand_over(self, connection: Any) -> None:
        """Have the transactions of a connection set up, as `Connector` says."""
        if self.is_stateless and hasattr(connection, "settings_of_transactions"):
            connection.settings_of_transactions = self.settings_of_transactions

    def close(self, connection: Any) -> None:
        """Close a connection, as `Connector` says."""
        connection.terminate()

    def announced_pid(self, connection: Any) -> int:
        """Tell who was said to serve, as `Connector` says."""
        return int(connection.get_server_pid())

    async def ask(self, connection: Any, question: str) -> Any:
        """Run a query, as `Connector` says."""
        return await (await connection.prepare(question, name="")).fetchrow()

    async def run(self, connection: Any, statements: str) -> None:
        """Run statements, as `Connector` says."""
        await connection.execute(statements)

    async def hears(self, connection: Any, channel: str, other: Any) -> bool:
        """Tell whether notices arrive, as `Connector` says."""
        heard = asyncio.Event()

        def hear(*_: object) -> None:
            heard.set()

        await connection.add_listener(channel, hear)
        await other.execute(f"NOTIFY {channel}")
        try:
            async with asyncio.timeout(NOTICE_SECONDS):
                await heard.wait()
        except TimeoutError:
            return False
        await connection.remove_listener(channel, hear)
        return True

    def arguments_for(self, config: PostgreSQLConfig) -> Mapping[str, Any]:
        """Say how to connect, as `Connector` says."""
        return {
            "target_session_attrs": "any",  # whatever PGTARGETSESSIONATTRS says
            "user": config.username,
            "database": config.database,
            "timeout": config.connect_timeout_seconds,
            "ssl": client_context(config.tls) or False,
            "server_settings": {"application_name": config.application_name},
        }


def _no_name() -> str:
    return ""

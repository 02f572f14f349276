"""A connection of asyncpg through a pooler that gives each transaction a session of its own.

Nothing is prepared under a name, which other processes use as well, and nothing is set for longer
than a transaction.
"""

from functools import cache
from types import ModuleType
from typing import Any, Final

BEGIN: Final = "BEGIN"


@cache
def stateless_connection(asyncpg: ModuleType) -> type[Any]:
    """Make the class of such connections.

    Args:
        asyncpg: The driver, which need not be installed.
    """

    class StatelessConnection(asyncpg.Connection):  # type: ignore[name-defined,misc] # see above
        """A connection whose transactions begin with settings, in the same trip."""

        _server_caps: Any

        settings_of_transactions: str = ""
        """The statement that makes them."""

        def __init__(self, *args: Any, **named: Any) -> None:
            super().__init__(*args, **named)
            # Or it would change that setting of the session, and change it back, to look types up,
            # which takes a hundred times as long with it.
            self._server_caps = self._server_caps._replace(jit=False)

        async def execute(self, query: str, *args: Any, **named: Any) -> str:
            """Run statements, adding the settings to the one that begins a transaction."""
            if self.settings_of_transactions and query.startswith(BEGIN):
                begin, _, others = query.partition(";")
                query = f"{begin}; {self.settings_of_transactions}; {others}"
            status: str = await super().execute(query, *args, **named)
            return status

    return StatelessConnection

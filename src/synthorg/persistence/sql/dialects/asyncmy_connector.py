"""Opening a connection of asyncmy: by network or socket, with any password, in good time."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from synthorg.persistence.config import Host, MySQLConfig
from synthorg.persistence.sql.dialects.hosts import Hosts
from synthorg.persistence.sql.dialects.passwords import current_password
from synthorg.persistence.sql.dialects.tls import client_context
from synthorg.persistence.sql.drivers.asyncmy import AsyncmyDriver
from synthorg.persistence.sql.drivers.faults import Diagnosis, UnusableError, refusal_of
from synthorg.persistence.sql.drivers.openings import Openings

SOCKETS: Final = ("mysqld.sock", "mysql.sock", "mariadb.sock", "mariadbd.sock")
"""What the socket is called in the folders of the usual distributions."""

NO_SUCH_METHOD: Final = 2059
"""The error for a way to log in that the driver does not know."""

NOT_UNDERSTOOD: Final = (
    "what answers there is no MariaDB or MySQL server, or one that the driver does not understand"
)

NOBODY: Final = "no username is given, and the system knows none"

READ_ONLY: Final = "the server is read-only, as a replica is"

OFF: Final = ("0", "OFF")


class AsyncmyConnector:
    """Opens connections; SQLAlchemy calls it with the arguments that are the same for all.

    Args:
        driver: The driver's module.
        config: Where to.
        read_only_sessions: The variable that says whether transactions are read-only by default.
        diagnose: Tells what an error means.
        openings: Has it wait for its turn.
    """

    def __init__(
        self,
        driver: ModuleType,
        config: MySQLConfig,
        read_only_sessions: str,
        diagnose: Callable[[BaseException], Diagnosis],
        openings: Openings,
    ) -> None:
        self._driver = driver
        self._config = config
        self._hosts = Hosts(config.hosts)
        self._must_write = config.target != "any"
        self._question = f"SELECT @@read_only, @@innodb_read_only, @@{read_only_sessions}"
        self._diagnose = diagnose
        self._openings = openings
        self._seconds = config.connect_timeout_seconds
        self._tls = client_context(config.tls)
        self._arguments: dict[str, Any] = {"connect_timeout": self._seconds}

    async def __call__(self, **arguments: Any) -> Any:
        """Open a connection.

        Args:
            arguments: The driver's further arguments.

        Raises:
            Exception: What the driver raised, or `UnusableError`.
        """

        async def connect(host: Host) -> Any:
            try:
                return await self._connect(self._arguments_for(host, arguments))
            except (OSError, self._driver.errors.MySQLError) as error:
                if not self._hosts.are_several:
                    raise
                refusal = refusal_of(self._diagnose(error))
            raise refusal

        return await self._openings.open(lambda: self._hosts.open(connect))

    async def ping(self, connection: Any) -> None:
        """Ask a connection for a sign of life, and whether its server may be written to.

        Args:
            connection: The connection.

        Raises:
            Exception: What the driver raised, or `UnusableError`.
        """
        if self._must_write:
            await self._refuse_read_only(connection)
        else:
            await AsyncmyDriver(connection).ping()

    def _arguments_for(self, host: Host, arguments: Mapping[str, Any]) -> dict[str, Any]:
        place: dict[str, Any] = {"host": host.name, "port": host.port, "ssl": self._tls}
        if is_socket(host):
            # What goes through a socket does not leave the machine.
            place |= {"unix_socket": str(find_socket(Path(host.name))), "ssl": None}
        password = current_password(self._config)
        if password is not None:
            place["password"] = password.encode()  # the driver would encode text as Latin-1
        return {**arguments, **self._arguments, **place}

    async def _connect(self, arguments: Mapping[str, Any]) -> Any:
        try:
            # The driver's own limit ends before the server has said anything.
            async with asyncio.timeout(self._seconds):
                return await self._open(arguments)
        except TimeoutError:
            reason = f"the server did not answer within {self._seconds:g} s"
            raise UnusableError(reason, may_pass=True) from None
        except RuntimeError as error:  # a package that it needs to log in is not installed
            reason = f"cannot log in: {error}"
        except self._driver.errors.MySQLError as error:
            number = error.args[0] if error.args else None
            if number == NO_SUCH_METHOD:
                reason = f"cannot log in: {error.args[1]}"
            elif isinstance(number, int):
                raise
            else:
                reason = NOT_UNDERSTOOD
        except OSError:
            raise
        except Exception:  # noqa: BLE001 (whatever comes of reading what is no answer)
            reason = NOT_UNDERSTOOD if arguments.get("user") else NOBODY
        raise UnusableError(reason)

    async def _open(self, arguments: Mapping[str, Any]) -> Any:
        connection = await self._driver.connect(**arguments)
        if self._must_write:
            try:
                await self._refuse_read_only(connection)
            except BaseException:
                connection.close()
                raise
        return connection

    async def _refuse_read_only(self, connection: Any) -> None:
        cursor = connection.cursor()
        await cursor.execute(self._question)
        (answers,) = await cursor.fetchall()
        if any(str(answer).upper() not in OFF for answer in answers):
            raise UnusableError(READ_ONLY, may_pass=True)


def is_socket(host: Host) -> bool:
    """Tell whether a host is a socket of this machine."""
    return host.name.startswith("/")


def find_socket(path: Path) -> Path:
    """Find the socket in a folder; a path that is no folder is the socket.

    Args:
        path: The path.
    """
    if not path.is_dir():
        return path
    found = (path / name for name in SOCKETS if (path / name).exists())
    return next(found, path / SOCKETS[0])

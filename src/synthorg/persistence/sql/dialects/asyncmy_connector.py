"""Opening a connection of asyncmy: by network or socket, with any password, in good time."""

import asyncio
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from synthorg.persistence.config import MySQLConfig
from synthorg.persistence.sql.dialects.passwords import current_password
from synthorg.persistence.sql.drivers.faults import UnusableError

SOCKETS: Final = ("mysqld.sock", "mysql.sock", "mariadb.sock", "mariadbd.sock")
"""What the socket is called in the folders of the usual distributions."""

NO_SUCH_METHOD: Final = 2059
"""The error for a way to log in that the driver does not know."""

NOT_UNDERSTOOD: Final = (
    "what answers there is no MariaDB or MySQL server, or one that the driver does not understand"
)

NOBODY: Final = "no username is given, and the system knows none"


class AsyncmyConnector:
    """Opens connections; SQLAlchemy calls it with the arguments that are the same for all.

    Args:
        driver: The driver's module.
        config: Where to.
    """

    def __init__(self, driver: ModuleType, config: MySQLConfig) -> None:
        self._driver = driver
        self._config = config
        self._seconds = config.connect_timeout_seconds
        self._path = Path(config.host) if is_socket(config) else None
        self._arguments: dict[str, Any] = {"connect_timeout": self._seconds}

    async def __call__(self, **arguments: Any) -> Any:
        """Open a connection.

        Args:
            arguments: The driver's further arguments.

        Raises:
            Exception: What the driver raised, or `UnusableError`.
        """
        arguments |= self._arguments
        password = current_password(self._config)
        if password is not None:
            arguments["password"] = password.encode()  # the driver would encode text as Latin-1
        if self._path is not None:
            arguments["unix_socket"] = str(find_socket(self._path))
        try:
            # The driver's own limit ends before the server has said anything.
            async with asyncio.timeout(self._seconds):
                return await self._driver.connect(**arguments)
        except TimeoutError:
            reason = f"the server did not answer within {self._seconds:g} s"
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


def is_socket(config: MySQLConfig) -> bool:
    """Tell whether a configuration leads to a socket of this machine."""
    return config.host.startswith("/")


def find_socket(path: Path) -> Path:
    """Find the socket in a folder; a path that is no folder is the socket.

    Args:
        path: The path.
    """
    if not path.is_dir():
        return path
    found = (path / name for name in SOCKETS if (path / name).exists())
    return next(found, path / SOCKETS[0])

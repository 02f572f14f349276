"""What servers have in common that are reached over the network: PostgreSQL, MariaDB."""

import getpass
import os
import secrets
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from itertools import count
from types import MappingProxyType
from typing import ClassVar, Self

from sqlalchemy import URL, make_url
from sqlalchemy.exc import SQLAlchemyError

from synthorg.persistence import PersistenceBackend, PersistenceConfig, create_backend
from tests.servers.administrator import Administrator, refusals_of
from tests.servers.base import Server, Unavailable

LOOPBACK = "127.0.0.1"
GRACE_SECONDS = 10
PREFIX = "synthorg_testing"


class NetworkServer(Server):
    """A server on which each test gets a database of its own.

    A migrated one is emptied after its test and given to another, if its schema is as it was. All
    others are dropped.

    Args:
        url: Where and as whom the library connects.
        administrator: Who makes and drops the databases.
        stack: What ends with the session.
    """

    driver: ClassVar[str]
    """SQLAlchemy's name of the driver that administers the server."""

    administration: ClassVar[Mapping[str, object]] = MappingProxyType({})
    """Options of that driver for whoever administers."""

    url_variable: ClassVar[str]
    """The environment variable that names a server to use instead of any other."""

    usual_port: ClassVar[int]

    advice: ClassVar[str]
    """How to get a server, when there is none."""

    def __init__(self, url: URL, administrator: Administrator, stack: ExitStack) -> None:
        self.url = url
        self.administrator = administrator
        self._stack = stack
        # Unique among the processes and machines that may share the server.
        self._session = f"{PREFIX}_{os.getpid()}_{secrets.token_hex(4)}"
        self._numbers = count()
        self._template: str | None = None
        self._emptied: list[str] = []
        self._sign(self._session)

    @classmethod
    @contextmanager
    def start(cls) -> Iterator[Self]:
        given = os.environ.get(cls.url_variable, "")
        ways = cls.ways() if given == "" else iter([cls.given(given)])
        refusals = []
        for way in ways:
            with ExitStack() as stack:
                try:
                    server = stack.enter_context(way)
                except Unavailable as refusal:
                    refusals.append(f"\n- {refusal}")
                    continue
                yield server
                return
        raise Unavailable(
            f"set {cls.url_variable}={cls.name}://user:password@host:port/database, or {cls.advice}"
            f"; tried:{''.join(refusals)}"
        )

    @contextmanager
    def empty_database(self) -> Iterator[str]:
        with self._database(template=None) as name:
            yield self._url_of(name)

    @contextmanager
    def migrated_database(self) -> Iterator[str]:
        if self._template is None:
            name = self._stack.enter_context(self._database(template=None))
            self.administrator.run(migrate(self._url_of(name)))
            self._refuse_open_connections(name)
            self._prepare_template(name)
            self._stack.callback(self._discard_emptied)
            self._template = name
        with self._database(template=self._template) as name:
            yield self._url_of(name)

    async def renew(self, url: str, backend: PersistenceBackend) -> bool:  # noqa: ARG002 (others do)
        name = url.partition("?")[0].rpartition("/")[2]  # of URLs with several hosts, too
        if self._has_changed(name):
            return False
        self._empty(name)
        return True

    @classmethod
    def ways(cls) -> Iterator[AbstractContextManager[Self]]:
        """Give the ways to a server in the order in which to try them."""
        yield from cls.local_ways()
        yield from cls.private_ways()

    @classmethod
    @abstractmethod
    def local_ways(cls) -> Iterator[AbstractContextManager[Self]]:
        """Give the ways to a server that runs on this machine and lets us in."""

    @classmethod
    @abstractmethod
    def private_ways(cls) -> Iterator[AbstractContextManager[Self]]:
        """Give the ways to start a server of our own."""

    @abstractmethod
    def _sign(self, session: str) -> None:
        """Mark the administrator's connection as that of a session."""

    @abstractmethod
    def _is_alive(self, session: str) -> bool:
        """Tell whether a connection is marked as that of a session."""

    @abstractmethod
    def _databases(self) -> list[str]:
        """Name the databases of all sessions."""

    @abstractmethod
    def _create(self, name: str, template: str | None) -> None:
        """Make a database: empty, or as the template is."""

    def _prepare_template(self, name: str) -> None:
        """Get ready to copy a migrated database."""

    @abstractmethod
    def _has_changed(self, name: str) -> bool:
        """Tell whether anything but rows differs in a copy of the template."""

    @abstractmethod
    def _empty(self, name: str) -> None:
        """Remove all rows that a test left in a copy of the template, and count from one again."""

    @abstractmethod
    def _drop(self, name: str) -> None:
        """Drop a database, also under the connections of others."""

    def _discard(self, name: str) -> None:
        """Drop a database that no test needs any more, now or later."""
        self._drop(name)

    @abstractmethod
    def _connections(self, name: str) -> list[str]:
        """Describe the connections to a database."""

    @classmethod
    @contextmanager
    def at(
        cls,
        url: URL,
        *,
        administrator_url: URL | None = None,
        is_starting: Callable[[], bool] = lambda: False,
    ) -> Iterator[Self]:
        """Use a server, after a proof that databases can be made there.

        Args:
            url: The server and the user that the library is to be; the scheme is of no account.
            administrator_url: Where the administrator connects, if not there.
            is_starting: Whether a refusal may only mean that the server is not up yet.

        Raises:
            Unavailable: If it refuses the user, or to make databases.
        """
        url = url.set(drivername=cls.name)
        entrance = url.set(query={}) if administrator_url is None else administrator_url
        entrance = entrance.set(drivername=f"{cls.name}+{cls.driver}")
        with (
            Administrator(entrance, cls.administration) as administrator,
            ExitStack() as stack,
        ):
            administrator.connect(is_starting)
            with refusals_of(url):
                server = cls(url, administrator, stack)
                server.sweep()
                with server.empty_database():
                    pass
            yield server

    @classmethod
    @contextmanager
    def given(cls, url: str) -> Iterator[Self]:
        """Use the server that the environment names, without which to go on would be a surprise.

        Args:
            url: The server, its user and a database to connect to.

        Raises:
            RuntimeError: If it cannot be used.
        """
        backend = PersistenceConfig.from_url(url).backend
        assert backend == cls.name, f"{cls.url_variable} must begin with {cls.name}://"
        with ExitStack() as stack:
            try:
                server = stack.enter_context(cls.at(make_url(url)))
            except Unavailable as refusal:
                raise RuntimeError(f"{cls.url_variable} is of no use: {refusal}") from None
            yield server

    def sweep(self) -> None:
        """Drop the databases of sessions that were killed before they could do so."""
        for name in self._databases():
            if not self._is_alive(name.rpartition("_")[0]):
                with suppress(SQLAlchemyError):  # another session may sweep at the same time
                    self._drop(name)

    @contextmanager
    def _database(self, template: str | None) -> Iterator[str]:
        if template is not None and self._emptied:
            name = self._emptied.pop()
        else:
            name = f"{self._session}_{next(self._numbers)}"
            self._create(name, template)
        try:
            yield name
            self._refuse_open_connections(name)
            is_reusable = template is not None and not self._has_changed(name)
            if is_reusable:
                self._empty(name)
        except BaseException:
            self._drop(name)
            raise
        if is_reusable:
            self._emptied.append(name)
        else:
            self._discard(name)

    def _discard_emptied(self) -> None:
        while self._emptied:
            self._discard(self._emptied.pop())

    def _refuse_open_connections(self, name: str) -> None:
        deadline = time.monotonic() + GRACE_SECONDS  # servers notice a moment later
        while left := self._connections(name):
            if time.monotonic() > deadline:
                raise AssertionError(f"connections to {name} were left open: {'; '.join(left)}")
            time.sleep(0.005)

    def _url_of(self, database: str) -> str:
        return self.url.set(database=database).render_as_string(hide_password=False)


def user_name() -> str:
    """Name the user who runs the tests, as far as the system knows one."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


async def migrate(url: str) -> None:
    """Bring a database to the head revision.

    Args:
        url: The database.
    """
    backend = create_backend(PersistenceConfig.from_url(url))
    await backend.connect()
    try:
        await backend.migrate()
    finally:
        await backend.disconnect()

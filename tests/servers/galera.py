"""A cluster of MariaDB nodes (Galera) on loopback, where its programs are installed."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL

from tests.servers.administrator import Administrator
from tests.servers.base import Unavailable
from tests.servers.mariadb import CARELESS, OPEN_TO_ALL, PROGRAM_FOLDERS, MariaDB
from tests.servers.network import LOOPBACK
from tests.servers.private import PrivateServer, find_program, free_ports

SIZE: Final = 3
PROVIDERS: Final = (
    Path("/usr/lib/galera/libgalera_smm.so"),
    Path("/usr/lib64/galera/libgalera_smm.so"),
    Path("/usr/lib64/galera-4/libgalera_smm.so"),
)
ADVICE: Final = (
    "`apt-get install --no-install-recommends mariadb-server-core mariadb-client-core galera-4 "
    "rsync lsof iproute2`"
)
JOIN_SECONDS: Final = 60


@dataclass(frozen=True)
class Place:
    """Where one node is: its folder, and its ports for clients, the group and transfers."""

    server: PrivateServer
    group: int
    increments: int
    snapshots: int


@dataclass(frozen=True)
class Node:
    """A node that takes part.

    Attributes:
        url: The node, with a user who may do everything there.
        place: Where it is.
        administrator: A connection to it.
    """

    url: URL
    place: Place
    administrator: Administrator

    def database(self, name: str) -> str:
        """Give the URL of a database, as this node shows it.

        Args:
            name: The database.
        """
        url = self.url.set(drivername=MariaDB.name, database=name)
        return url.render_as_string(hide_password=False)

    def execute(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements on this node, and give the rows of the last one."""
        return self.administrator.execute(*statements)

    def status(self, name: str) -> str:
        """Read a status variable."""
        ((_, value),) = self.execute(f"SHOW STATUS LIKE '{name}'")
        return str(value)

    def wait_for_others(self) -> None:
        """Wait until this node has what was written on others before."""
        self.execute(
            "SET SESSION wsrep_sync_wait = 15", "SELECT 1", "SET SESSION wsrep_sync_wait = 0"
        )

    def kill(self) -> None:
        """End the node at once, as a loss of power would."""
        process = int((self.place.server.folder / "server.pid").read_text())
        os.kill(process, signal.SIGKILL)


@contextmanager
def cluster(size: int = SIZE) -> Iterator[list[Node]]:
    """Start a cluster.

    Args:
        size: How many nodes it has.

    Yields:
        Its nodes, each in step with the others.

    Raises:
        Unavailable: If the programs are not installed, or a node does not join.
    """
    install = find_program(("mariadb-install-db",), ())
    program = find_program(("mariadbd", "mysqld"), PROGRAM_FOLDERS)
    provider = next(filter(Path.exists, PROVIDERS), None)
    if (
        install is None
        or program is None
        or provider is None
        or find_program(["rsync"], ()) is None
    ):
        raise Unavailable(f"a part of Galera is not installed: {ADVICE}")
    ports = iter(free_ports(4 * size))
    places = [
        Place(PrivateServer(next(ports)), next(ports), next(ports), next(ports))
        for _ in range(size)
    ]
    accounts = places[0].server.folder / "accounts.sql"
    account = places[0].server.url
    user = f"{account.username}@'{LOOPBACK}'"
    accounts.write_text(
        f"CREATE USER {user} IDENTIFIED BY '{account.password}';\n"
        f"GRANT ALL ON *.* TO {user} WITH GRANT OPTION;\n"
    )
    nodes: list[Node] = []
    with ExitStack() as stack:
        for number, place in enumerate(places):
            data = place.server.folder / "data"
            initialise: list[str | Path] = [
                install,
                "--no-defaults",
                f"--datadir={data}",
                "--skip-test-db",
            ]
            first = ["--wsrep-new-cluster", f"--init-file={accounts}"] if number == 0 else []
            serve: list[str | Path] = [
                program,
                "--no-defaults",
                *_options(place, places, provider),
                *first,
            ]
            is_starting = stack.enter_context(place.server.running("mysql", initialise, serve))
            url = account.set(database=OPEN_TO_ALL, port=place.server.url.port)
            entrance = url.set(drivername=f"{MariaDB.name}+{MariaDB.driver}")
            administrator = stack.enter_context(Administrator(entrance, MariaDB.administration))
            administrator.connect(is_starting)
            nodes.append(Node(url, place, administrator))
            _wait_until(lambda: _are_in_step(nodes))
        yield nodes


def _options(place: Place, places: list[Place], provider: Path) -> Iterator[str]:
    group = ",".join(f"{LOOPBACK}:{each.group}" for each in places)
    folder = place.server.folder
    yield from CARELESS
    yield f"--datadir={folder / 'data'}"
    yield f"--socket={folder / 'socket'}"
    yield f"--pid-file={folder / 'server.pid'}"
    yield f"--bind-address={LOOPBACK}"
    yield f"--port={place.server.url.port}"
    yield "--skip-name-resolve"
    yield "--innodb-buffer-pool-size=64M"
    yield "--innodb-log-file-size=32M"
    yield "--binlog-format=ROW"
    yield "--innodb-autoinc-lock-mode=2"
    yield "--wsrep-on=ON"
    yield f"--wsrep-provider={provider}"
    yield f"--wsrep-cluster-address=gcomm://{group}"
    yield "--wsrep-cluster-name=test"
    yield f"--wsrep-node-address={LOOPBACK}:{place.group}"
    yield f"--wsrep-node-incoming-address={LOOPBACK}:{place.server.url.port}"
    yield "--wsrep-sst-method=rsync"
    yield f"--wsrep-sst-receive-address={LOOPBACK}:{place.snapshots}"
    yield (
        f"--wsrep-provider-options=base_port={place.group};"
        f"gmcast.listen_addr=tcp://{LOOPBACK}:{place.group};"
        f"ist.recv_addr={LOOPBACK}:{place.increments};gcache.size=32M;pc.recovery=false"
    )


def _are_in_step(nodes: list[Node]) -> bool:
    return all(
        node.status("wsrep_cluster_size") == str(len(nodes))
        and node.status("wsrep_local_state_comment") == "Synced"
        for node in nodes
    )


def _wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + JOIN_SECONDS
    while True:
        with suppress(Exception):
            if is_so():
                return
        if time.monotonic() > deadline:
            raise Unavailable("a node did not join the cluster in time")
        time.sleep(0.1)

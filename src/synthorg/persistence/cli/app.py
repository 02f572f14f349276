"""The commands of `synthorg-db`."""

import json
import sys
from typing import Annotated

import typer
from rich.console import Console

from synthorg.persistence.cli.failures import ExitCode, fail, reported
from synthorg.persistence.cli.session import ask, dialect_of, with_database
from synthorg.persistence.cli.status import find_status
from synthorg.persistence.config import DATABASE_URL_VARIABLE
from synthorg.persistence.sql.dialects.base import Dialect
from synthorg.persistence.sql.migrations import runner as migration
from synthorg.persistence.sql.migrations.drift import find_drift
from synthorg.persistence.sql.migrations.revisions import known_revisions
from synthorg.persistence.sql.migrations.state import NOT_OURS, Condition

EXIT_CODES = """
Exit codes: 0 done; 1 the schema is not as it should be, or a migration was refused or failed;
2 the arguments or the URL cannot be used; 3 the database could not be reached.
"""

BASE = "base"
SCRIPTABLE = (Condition.EMPTY, Condition.BEHIND, Condition.CURRENT)

Database = Annotated[
    str | None,
    typer.Option(
        help=f"The database's URL; without it, the variable {DATABASE_URL_VARIABLE}.",
        metavar="URL",
        show_default=False,
    ),
]
Wait = Annotated[
    float | None, typer.Option(help="Seconds to wait for a migration of others.", min=0.1)
]

app = typer.Typer(
    name="synthorg-db",
    help="Look after the databases of synthorg-persistence.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command(epilog=EXIT_CODES)
def migrate(
    *,
    database: Database = None,
    to: Annotated[str, typer.Option(help="The revision to end with.")] = migration.HEAD,
    sql: Annotated[
        bool, typer.Option("--sql", help="Print what would be done as SQL, and do nothing.")
    ] = False,
    wait: Wait = None,
) -> None:
    """Bring the schema to the version that this release needs.

    Any number may run this at once: one migrates, and the others wait until it is done.
    """
    with reported():
        dialect = _patient(dialect_of(database), wait)
        if sql:
            _write_script(dialect, to)
            return
        _refuse_untouched(dialect)
        with_database(dialect, lambda opened: migration.upgrade(opened, to, _Progress()))
        _say("nothing more to do")


@app.command(epilog=EXIT_CODES)
def status(
    *,
    database: Database = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Show the database's revision, what to do about it, and rows and size of each table."""
    with reported():
        dialect = dialect_of(database)
        found = ask(dialect, lambda connection: find_status(connection, dialect))
    if as_json:
        typer.echo(json.dumps(found.as_json(), indent=2))
    else:
        Console().print(found.as_text())


@app.command(epilog=EXIT_CODES)
def check(database: Database = None) -> None:
    """Compare the database with what its revision should be, and look for damage.

    Compares tables, columns, constraints, indexes and triggers, follows every reference, and lets
    the database look for damage in its own storage.
    """
    with reported():
        dialect = dialect_of(database)
        state = ask(dialect, lambda connection: migration.find_schema_state(connection, dialect))
        if state.condition is not Condition.CURRENT:
            fail(state.description, ExitCode.REFUSED)
        problems = ask(dialect, lambda connection: find_drift(connection, dialect))
    if problems:
        for problem in problems:
            typer.echo(problem)
        fail(f"the database is not sound: problems found: {len(problems)}", ExitCode.REFUSED)
    _say(f"sound, at revision {state.head}")


@app.command(epilog=EXIT_CODES)
def history() -> None:
    """List the revisions that this release knows, the newest first."""
    for script in known_revisions().walk_revisions():
        typer.echo(f"{script.revision}: {script.doc}")


@app.command(epilog=EXIT_CODES)
def downgrade(
    revision: Annotated[str, typer.Argument(help='The revision to end with, or "base".')],
    *,
    database: Database = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    wait: Wait = None,
) -> None:
    """Take the schema back to an earlier revision, which deletes what only later ones hold."""
    with reported():
        dialect = _patient(dialect_of(database), wait)
        dialect.refuse_absence()
        _refuse_untouched(dialect)
        if not yes:
            lost = "ALL of its data" if revision == BASE else f"what {revision} cannot hold"
            typer.confirm(f"Delete {lost} from {dialect.description}?", abort=True, err=True)
        with_database(dialect, lambda opened: migration.downgrade(opened, revision, _Progress()))
        _say("nothing more to do")


def _patient(dialect: Dialect, seconds: float | None) -> Dialect:
    if seconds is not None:
        dialect.migration_lock_timeout_seconds = seconds
    return dialect


def _refuse_untouched(dialect: Dialect) -> None:
    """Refuse what must not be migrated before it is opened in a way that might change it."""
    if not dialect.is_there:
        return
    state = ask(dialect, lambda connection: migration.find_schema_state(connection, dialect))
    if state.condition in NOT_OURS:
        fail(f"cannot migrate: {state.description}; nothing was touched", ExitCode.REFUSED)


def _write_script(dialect: Dialect, revision: str) -> None:
    state = ask(dialect, lambda connection: migration.find_schema_state(connection, dialect))
    if state.condition not in SCRIPTABLE:
        fail(f"cannot write a script: {state.description}", ExitCode.REFUSED)
    start = state.applied[0] if state.applied else BASE
    migration.write_script(dialect, start, revision, sys.stdout)


class _Progress:
    """Shows the beginning and the end of what goes on in many small steps."""

    _shown = ""

    def __call__(self, name: str, finished: int, total: int) -> None:
        if name != self._shown or finished == total:
            _say(f"[{finished}/{total}] {name}")
        self._shown = name


def _say(message: str) -> None:
    # Not to standard output, which is for what was asked for.
    typer.echo(message, err=True)

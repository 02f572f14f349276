"""The commands of `synthorg-db`."""

import json
import sys
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from synthorg.persistence.cli import backing_up, copying, exporting, pruning, rolling_up
from synthorg.persistence.cli import doctor as examination
from synthorg.persistence.cli.extensions import load, tables_named, tables_of
from synthorg.persistence.cli.failures import ExitCode, fail, reported
from synthorg.persistence.cli.new_extension import write_skeleton
from synthorg.persistence.cli.observing import observed
from synthorg.persistence.cli.session import ask, config_of, dialect_of, with_database
from synthorg.persistence.cli.status import find_status
from synthorg.persistence.config import DATABASE_URL_VARIABLE, PersistenceConfig
from synthorg.persistence.errors import UsageError
from synthorg.persistence.extension import Extension
from synthorg.persistence.sql.dialects.base import Dialect
from synthorg.persistence.sql.execution.database import Database
from synthorg.persistence.sql.migrations import runner as migration
from synthorg.persistence.sql.migrations.drift import find_drift
from synthorg.persistence.sql.migrations.revisions import known_revisions
from synthorg.persistence.sql.migrations.state import NOT_OURS, Condition, SchemaState
from synthorg.persistence.sql.owned_tables import LIBRARY, OwnedTables
from synthorg.persistence.sql.transfer.mark import find_unfinished

EXIT_CODES = """
Exit codes: 0 done; 1 the schema is not as it should be, a migration, a copy or an import was
refused or failed, two databases differ, or an examination found more than notes; 2 the arguments
or the URL cannot be used; 3 the database could not be reached.
"""

BASE = "base"
SCRIPTABLE = (Condition.EMPTY, Condition.BEHIND, Condition.CURRENT)

Url = Annotated[
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

Extensions = Annotated[
    list[str] | None,
    typer.Option(
        "--extension",
        help="An application's own tables to look after as well, beside those of installed "
        "packages: the module and the attribute of an Extension. Can be given several times.",
        metavar="MODULE:ATTRIBUTE",
        show_default=False,
    ),
]
Of = Annotated[
    str | None,
    typer.Option(
        help="The name of the extension whose tables are meant, rather than this library's.",
        metavar="NAME",
        show_default=False,
    ),
]

SkipUnreadable = Annotated[
    bool,
    typer.Option(
        "--skip-unreadable", help="Leave out, and count, records that do not fit their entity."
    ),
]

app = typer.Typer(
    name="synthorg-db",
    help="Look after the databases of synthorg-persistence.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _show_version(asked: bool) -> None:  # noqa: FBT001 (Typer calls it)
    if asked:
        typer.echo(version("synthorg-persistence"))
        raise typer.Exit


@app.callback()
def options(
    *,
    show_version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and exit.", callback=_show_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Look after the databases of synthorg-persistence."""


@app.command(epilog=EXIT_CODES)
def migrate(
    *,
    database: Url = None,
    to: Annotated[
        str | None,
        typer.Option(help="The revision to end with, of one owner's tables alone (see --of)."),
    ] = None,
    of: Of = None,
    sql: Annotated[
        bool, typer.Option("--sql", help="Print what would be done as SQL, and do nothing.")
    ] = False,
    wait: Wait = None,
    extension: Extensions = None,
) -> None:
    """Bring the schema to the version that this release needs, and then that of each extension.

    Any number may run this at once: one migrates, and the others wait until it is done.

    For example: synthorg-db migrate --database postgresql://user@host/synthorg
    """
    extensions = load(extension or ())
    one = to is not None or of is not None
    every = [tables_named(of, extensions)] if one else [*tables_of(extensions)]
    with reported():
        dialect = _patient(dialect_of(database), wait)
        if sql:
            for owned in every:
                _write_script(dialect, to or migration.HEAD, owned)
            return

        async def upgrade(opened: Database) -> None:
            for owned in every:
                await migration.upgrade(opened, to or migration.HEAD, _Progress(), owned)

        for owned in every:
            _refuse_untouched(dialect, owned)
        with observed(dialect, "migration", "migrate"):
            with_database(dialect, upgrade)
        _say("nothing more to do")


@app.command(epilog=EXIT_CODES)
def status(
    *,
    database: Url = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
    extension: Extensions = None,
) -> None:
    """Show the database's revision, what to do about it, and rows and size of each table.

    Exits with 1 where the database has no tables of this library, or only a part of its records,
    since a copy or a restore has not ended.

    For example: synthorg-db status --json
    """
    extensions = load(extension or ())
    with reported():
        dialect = dialect_of(database)
        with observed(dialect, "maintenance", "status"):
            found = ask(dialect, lambda connection: find_status(connection, dialect, extensions))
    if as_json:
        typer.echo(json.dumps(found.as_json(), indent=2))
    else:
        Console().print(found.as_text())
    if found.state.condition is Condition.EMPTY or found.unfinished is not None:
        raise typer.Exit(ExitCode.REFUSED)


@app.command(epilog=EXIT_CODES)
def check(
    *,
    database: Url = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
    extension: Extensions = None,
) -> None:
    """Compare the database with what its revision should be, and look for damage.

    Compares tables, columns, constraints, indexes and triggers, follows every reference, and lets
    the database look for damage in its own storage.

    For example: synthorg-db check --database sqlite:///synthorg.db
    """
    every = [*tables_of(load(extension or ()))]
    heads = []
    problems: list[str] = []
    with reported():
        dialect = dialect_of(database)
        with observed(dialect, "maintenance", "check"):
            unfinished = ask(dialect, find_unfinished)
            if unfinished is not None:
                fail(unfinished, ExitCode.REFUSED)
            for owned in every:
                state = _state_of(dialect, owned)
                if state.condition is not Condition.CURRENT:
                    fail(state.description, ExitCode.REFUSED)
                heads.append(state.head)
                problems += ask(dialect, partial(find_drift, dialect=dialect, owned=owned))
    if as_json:
        typer.echo(json.dumps({"revisions": heads, "problems": problems}, indent=2))
    if problems:
        for problem in [] if as_json else problems:
            typer.echo(problem)
        fail(f"the database is not sound: problems found: {len(problems)}", ExitCode.REFUSED)
    _say(f"sound, at revision {', '.join(heads)}")


@app.command(epilog=EXIT_CODES)
def doctor(
    *,
    database: Url = None,
    rows: Annotated[
        bool,
        typer.Option(help="Read every record, to find those that cannot be read."),
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
    extension: Extensions = None,
) -> None:
    """Look at schema, records, storage, settings and load, and say what to do.

    Nothing is changed, and no stored value is shown, but for the keys of records. Exits with 1
    when there is more than notes.

    For example: synthorg-db doctor --no-rows
    """
    extensions = load(extension or ())
    with reported():
        examination.examine(config_of(database), extensions, rows=rows, as_json=as_json)


@app.command(epilog=EXIT_CODES)
def history(
    *,
    of: Of = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
    extension: Extensions = None,
) -> None:
    """List the revisions that this release knows, or those of an extension, the newest first.

    For example: synthorg-db history --json
    """
    scripts = [*known_revisions(tables_named(of, load(extension or ()))).walk_revisions()]
    if as_json:
        listed = [{"revision": each.revision, "summary": each.doc} for each in scripts]
        typer.echo(json.dumps(listed, indent=2))
    else:
        for script in scripts:
            typer.echo(f"{script.revision}: {script.doc}")


@app.command(epilog=EXIT_CODES)
def downgrade(
    revision: Annotated[str, typer.Argument(help='The revision to end with, or "base".')],
    *,
    database: Url = None,
    of: Of = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    wait: Wait = None,
    extension: Extensions = None,
) -> None:
    """Take the schema back to an earlier revision, which deletes what only later ones hold.

    For example: synthorg-db downgrade 0003_audit_guard --yes
    """
    extensions = load(extension or ())
    owned = tables_named(of, extensions)
    with reported():
        dialect = _patient(dialect_of(database), wait)
        dialect.refuse_absence()
        _refuse_untouched(dialect, owned)
        _refuse_what_others_need(dialect, owned, revision, extensions)
        if not yes:
            lost = "ALL of its data" if revision == BASE else f"what {revision} cannot hold"
            typer.confirm(f"Delete {lost} from {dialect.description}?", abort=True, err=True)
        with observed(dialect, "migration", "downgrade"):
            with_database(
                dialect, lambda opened: migration.downgrade(opened, revision, _Progress(), owned)
            )
        _say("nothing more to do")


@app.command(epilog=EXIT_CODES)
def copy(
    source: Annotated[
        str, typer.Argument(help="The URL of the database to copy.", metavar="SOURCE_URL")
    ],
    target: Annotated[
        str, typer.Argument(help="The URL of an empty database.", metavar="TARGET_URL")
    ],
    *,
    verify_only: Annotated[
        bool,
        typer.Option("--verify-only", help="Compare the two, table by table, and write nothing."),
    ] = False,
    skip_unreadable: SkipUnreadable = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
    extension: Extensions = None,
) -> None:
    """Copy a database into an empty one of any kind, and compare the two.

    One state of the source is read, whatever others write to it. Interrupted, the same command
    goes on where it was.

    For example: synthorg-db copy sqlite:///synthorg.db postgresql://user@host/synthorg
    """
    extensions = load(extension or ())
    with reported():
        before, after = (PersistenceConfig.from_url(url) for url in (source, target))
        act = copying.verify if verify_only else copying.copy
        act(before, after, extensions, skip_unreadable=skip_unreadable, as_json=as_json)


@app.command(epilog=EXIT_CODES)
def backup(
    file: Annotated[Path, typer.Argument(help="The file to write.")],
    *,
    database: Url = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a file of this name.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
    extension: Extensions = None,
) -> None:
    """Write one state of the database into a file, whatever others write to it meanwhile.

    The file is a SQLite database, also that of a server. It gets its name when it was checked.

    For example: synthorg-db backup monday.db
    """
    extensions = load(extension or ())
    with reported():
        config = config_of(database)
        backing_up.back_up(config, file, extensions, overwrite=overwrite, as_json=as_json)


@app.command(epilog=EXIT_CODES)
def restore(
    file: Annotated[Path, typer.Argument(help="The backup.")],
    *,
    database: Url = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a database that has records.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
    extension: Extensions = None,
) -> None:
    """Make the database what a backup holds.

    The database is empty or not there, unless it is to be overwritten. It may be of another kind
    than the one that was backed up.

    For example: synthorg-db restore monday.db
    """
    extensions = load(extension or ())
    with reported():
        config = config_of(database)
        backing_up.restore(config, file, extensions, overwrite=overwrite, as_json=as_json)


@app.command(epilog=EXIT_CODES)
def export(  # noqa: PLR0913 (each is an option)
    folder: Annotated[Path, typer.Argument(help="The folder to make.")],
    *,
    database: Url = None,
    kinds: Annotated[
        str | None,
        typer.Option(
            help="The tables to export, separated by commas; without it, all.",
            metavar="KIND,KIND",
            show_default=False,
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            help="The earliest time of what has a time of its own.",
            metavar="TIME",
            show_default=False,
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(help="The latest time of it.", metavar="TIME", show_default=False),
    ] = None,
    file_format: Annotated[
        Literal["jsonl", "parquet", "csv"],
        typer.Option("--format", help="The format of the files; Parquet and CSV need pyarrow."),
    ] = "jsonl",
    skip_unreadable: SkipUnreadable = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
    extension: Extensions = None,
) -> None:
    """Write one state of the database into files that other programs can read, one for each kind.

    Beside them is a manifest with the revision, the numbers of records and digests. It has
    everything that the database has, hashes of passwords too.

    For example: synthorg-db export monday --kinds messages,tasks --since 2026-03-01
    """
    extensions = load(extension or ())
    with reported():
        exporting.export(
            config_of(database),
            folder,
            extensions,
            kinds=None if kinds is None else kinds.split(","),
            since=exporting.moment_of(since),
            until=exporting.moment_of(until),
            file_format=file_format,
            skip_unreadable=skip_unreadable,
            as_json=as_json,
        )


@app.command("import", epilog=EXIT_CODES)
def import_(
    folder: Annotated[Path, typer.Argument(help="The export.")],
    *,
    database: Url = None,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Replace records that have another content."),
    ] = False,
    skip_unreadable: SkipUnreadable = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
    extension: Extensions = None,
) -> None:
    """Save the records of an export beside those of the database.

    All of it is checked, and compared with the database, before anything is saved. What is there
    already is passed over; what is there with another content is refused, or replaced.

    For example: synthorg-db import monday --database postgresql://user@host/synthorg
    """
    extensions = load(extension or ())
    with reported():
        exporting.import_(
            config_of(database),
            folder,
            extensions,
            replace=replace,
            skip_unreadable=skip_unreadable,
            as_json=as_json,
        )


@app.command(epilog=EXIT_CODES)
def roll_up(
    *,
    database: Url = None,
    before: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"],
            help="The first day (UTC) that is left as it is; without it, today.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Add up the costs of past days once, so that sums over whole days need not read them.

    The costs stay, and every sum is what it was. Interrupted, the next one goes on.

    For example: synthorg-db roll-up --before 2026-03-01
    """
    with reported():
        rolling_up.roll_up(dialect_of(database), before, as_json=as_json)


@app.command(epilog=EXIT_CODES)
def prune(  # noqa: PLR0913 (each is an option)
    *,
    database: Url = None,
    policy: Annotated[
        Path | None,
        typer.Option(
            help="A TOML file with a table for each kind: max_age, or newest.",
            show_default=False,
        ),
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            help="What is kept of a kind, rather than what the file says. Can be given several "
            "times.",
            metavar="KIND=90d|KIND=newest:1000",
            show_default=False,
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(help="How long it may take.", metavar="10m", show_default=False),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count what would be removed, and remove nothing.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Allow a policy to remove all records of a kind.")
    ] = False,
    archive: Annotated[
        Path | None,
        typer.Option(
            help="A folder into which records are written, and verified, before they are removed.",
            show_default=False,
        ),
    ] = None,
    compact: Annotated[
        bool,
        typer.Option("--compact", help="Give the space of what was removed back in the end."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
    extension: Extensions = None,
) -> None:
    """Remove the records that a policy does not keep, in short transactions.

    Others can go on working meanwhile. Interrupted or out of time, the same command goes on. The
    costs that are removed go on counting in sums over whole days.

    For example: synthorg-db prune --keep messages=90d --budget 10m
    """
    extensions = load(extension or ())
    with reported():
        pruning.prune(
            config_of(database),
            pruning.policy_of(policy, keep or ()),
            extensions,
            budget=pruning.span_of(budget),
            dry_run=dry_run,
            everything=yes,
            archive=archive,
            compact=compact,
            as_json=as_json,
        )


@app.command()
def new_extension(
    name: Annotated[str, typer.Argument(help="The name of the extension and of its package.")],
    *,
    folder: Annotated[
        Path, typer.Option(help="Where to make the package.", file_okay=False)
    ] = Path(),
) -> None:
    """Write the skeleton of an extension: a package with an entity, its revision and a test.

    For example: synthorg-db new-extension office
    """
    try:
        written = write_skeleton(name, folder)
    except UsageError as error:
        raise typer.BadParameter(str(error)) from None
    for path in written:
        typer.echo(path)


def _patient(dialect: Dialect, seconds: float | None) -> Dialect:
    if seconds is not None:
        dialect.migration_lock_timeout_seconds = seconds
    return dialect


def _state_of(dialect: Dialect, owned: OwnedTables) -> SchemaState:
    return ask(dialect, partial(migration.find_schema_state, dialect=dialect, owned=owned))


def _refuse_untouched(dialect: Dialect, owned: OwnedTables) -> None:
    """Refuse what must not be migrated before it is opened in a way that might change it."""
    if not dialect.is_there:
        return
    state = _state_of(dialect, owned)
    if state.condition in NOT_OURS:
        fail(f"cannot migrate: {state.description}; nothing was touched", ExitCode.REFUSED)


def _refuse_what_others_need(
    dialect: Dialect, owned: OwnedTables, revision: str, extensions: Sequence[Extension]
) -> None:
    """Refuse to drop tables to which those of another extension refer while those are there."""
    if owned is LIBRARY and revision != BASE:
        return  # its revisions keep their tables
    for extension in extensions:
        if any(table.metadata is owned.metadata for table in extension.owned.refers_to):
            state = _state_of(dialect, extension.owned)
            if state.condition is not Condition.EMPTY:
                fail(
                    f"cannot downgrade {owned.owner}: {extension.owned.owner} refers to its tables;"
                    f" `synthorg-db downgrade base --of {extension.name}` comes first",
                    ExitCode.REFUSED,
                )


def _write_script(dialect: Dialect, revision: str, owned: OwnedTables) -> None:
    state = _state_of(dialect, owned)
    if state.condition not in SCRIPTABLE:
        fail(f"cannot write a script: {state.description}", ExitCode.REFUSED)
    start = state.applied[0] if state.applied else BASE
    migration.write_script(dialect, start, revision, sys.stdout, owned)


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

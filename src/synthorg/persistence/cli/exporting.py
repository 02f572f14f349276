"""What `synthorg-db export` and `synthorg-db import` show."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import typer
from rich.console import Console

from synthorg.persistence.cli.copying import shown, table_of_numbers
from synthorg.persistence.cli.observing import observers
from synthorg.persistence.config import PersistenceConfig
from synthorg.persistence.errors import UsageError
from synthorg.persistence.extension import Extension
from synthorg.persistence.transfer import FileFormat, export_database, import_database


def moment_of(text: str | None) -> datetime | None:
    """Read a time such as 2026-03-01 or 2026-03-01T12:00:00+01:00; without a zone, in UTC.

    Args:
        text: The time.

    Raises:
        UsageError: If it is none.
    """
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is no time; 2026-03-01T12:00:00Z is") from None
    return moment.replace(tzinfo=UTC) if moment.utcoffset() is None else moment


def export(  # noqa: PLR0913 (what the command was told)
    config: PersistenceConfig,
    folder: Path,
    extensions: Sequence[Extension],
    *,
    kinds: Sequence[str] | None,
    since: datetime | None,
    until: datetime | None,
    file_format: FileFormat,
    skip_unreadable: bool,
    as_json: bool,
) -> None:
    """Export a database, and say what came of it.

    Args:
        config: The database.
        folder: The export.
        extensions: The application's own tables.
        kinds: The names of the tables to export.
        since: The earliest time.
        until: The latest one.
        file_format: The format of the files.
        skip_unreadable: Whether to leave out records that do not fit their entity.
        as_json: Whether to print the outcome as JSON.
    """
    report = shown(
        lambda told: export_database(
            config,
            folder,
            extensions=extensions,
            kinds=kinds,
            since=since,
            until=until,
            file_format=file_format,
            skip_unreadable=skip_unreadable,
            progress=told,
            observers=observers(),
        )
    )
    if as_json:
        typer.echo(json.dumps(report.as_json(), indent=2))
        return
    table = table_of_numbers("file", "records", "left out")
    for each in report.manifest.kinds.values():
        table.add_row(each.file, f"{each.rows:,}", f"{each.skipped:,}")
    Console().print(table)
    typer.echo(f"exported: {report.rows:,} records into {folder}, {report.skipped:,} left out")


def import_(
    config: PersistenceConfig,
    folder: Path,
    extensions: Sequence[Extension],
    *,
    replace: bool,
    skip_unreadable: bool,
    as_json: bool,
) -> None:
    """Import an export, and say what came of it."""
    report = shown(
        lambda told: import_database(
            folder,
            config,
            extensions=extensions,
            replace=replace,
            skip_unreadable=skip_unreadable,
            progress=told,
            observers=observers(),
        )
    )
    if as_json:
        typer.echo(json.dumps(report.as_json(), indent=2))
        return
    table = table_of_numbers("kind", "added", "replaced", "there already", "left out")
    for each in report.kinds:
        numbers = (each.added, each.replaced, each.unchanged, each.skipped)
        table.add_row(each.name, *(f"{number:,}" for number in numbers))
    Console().print(table)
    typer.echo(f"imported: {report.added:,} new records, {report.skipped:,} left out")

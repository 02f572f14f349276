"""What `synthorg-db backup` and `synthorg-db restore` show."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import typer

from synthorg.persistence.cli.copying import shown
from synthorg.persistence.cli.observing import observers
from synthorg.persistence.config import PersistenceConfig
from synthorg.persistence.extension import Extension
from synthorg.persistence.transfer import BackupReport
from synthorg.persistence.transfer import back_up as back_up_database
from synthorg.persistence.transfer import restore as restore_database


def back_up(
    config: PersistenceConfig,
    file: Path,
    extensions: Sequence[Extension],
    *,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Back a database up, and say what came of it."""
    report = shown(
        lambda told: back_up_database(
            config,
            file,
            extensions=extensions,
            overwrite=overwrite,
            progress=told,
            observers=observers(),
        )
    )
    _say(report, f"backed up: {report.database} as {report.file}", as_json=as_json)


def restore(
    config: PersistenceConfig,
    file: Path,
    extensions: Sequence[Extension],
    *,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Restore a database, and say what came of it."""
    report = shown(
        lambda told: restore_database(
            file,
            config,
            extensions=extensions,
            overwrite=overwrite,
            progress=told,
            observers=observers(),
        )
    )
    _say(report, f"restored: {report.database} from {report.file}", as_json=as_json)


def _say(report: BackupReport, text: str, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(asdict(report), indent=2))
    else:
        typer.echo(f"{text}, {report.bytes:,} bytes")

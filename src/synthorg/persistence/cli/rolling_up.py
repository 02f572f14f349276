"""What `synthorg-db roll-up` does, and shows."""

import json
from datetime import UTC, datetime

import typer

from synthorg.persistence.cli.observing import observed
from synthorg.persistence.cli.session import with_database
from synthorg.persistence.sql.dialects.base import Dialect
from synthorg.persistence.sql.repositories.cost_rollups import roll_up as roll_up_days
from synthorg.persistence.sql.repositories.cost_sums import midnight_before


def roll_up(dialect: Dialect, before: datetime | None, *, as_json: bool) -> None:
    """Roll up the costs of past days, and say what came of it.

    Args:
        dialect: The kind of database.
        before: The first day (UTC) that is left as it is; without it, today.
        as_json: Whether to print the outcome as JSON.
    """
    dialect.refuse_absence()
    day = midnight_before(datetime.now(UTC) if before is None else before.replace(tzinfo=UTC))
    with observed(dialect, "maintenance", "roll_up_costs"):
        report = with_database(dialect, lambda database: roll_up_days(database, day, _say_day))
    before_text = report.rolled_up_before.date().isoformat()
    if as_json:
        outcome = {"days": report.days, "rolled_up_before": before_text}
        typer.echo(json.dumps(outcome, indent=2))
    else:
        typer.echo(f"rolled up: {report.days:,} days, now all before {before_text}")


def _say_day(day: datetime) -> None:
    typer.echo(f"{day.date()}", err=True)

"""What `synthorg-db prune` reads and shows."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import typer
from pydantic import TypeAdapter, ValidationError
from rich.console import Console

from synthorg.persistence.cli.copying import shown, table_of_numbers
from synthorg.persistence.cli.observing import observers
from synthorg.persistence.config import PersistenceConfig
from synthorg.persistence.errors import UsageError
from synthorg.persistence.extension import Extension
from synthorg.persistence.factory import create_backend
from synthorg.persistence.retention import PruneReport, RetentionPolicy, Span
from synthorg.persistence.retention import prune as prune_backend
from synthorg.persistence.sql.dialects.registry import create_dialect
from synthorg.persistence.transfer import Progress

NEWEST = "newest:"


def policy_of(file: Path | None, keep: Sequence[str]) -> RetentionPolicy:
    """Read a policy from a file, and from what a command says, which comes first.

    Args:
        file: The file.
        keep: What is kept of some kinds, as in `messages=90d` or `messages=newest:1000`.

    Raises:
        UsageError: If neither says anything, or what makes no sense.
    """
    rules = {} if file is None else dict(RetentionPolicy.from_toml(file).rules)
    for text in keep:
        name, found, rule = text.partition("=")
        if not found:
            raise UsageError(f"--keep takes KIND=AGE or KIND={NEWEST}NUMBER, not {text!r}")
        fields: dict[str, Any] = {"max_age": rule}
        if rule.startswith(NEWEST):
            fields = {"newest": rule.removeprefix(NEWEST)}
        rules |= RetentionPolicy.of({name: fields}, "--keep").rules
    if not rules:
        raise UsageError("say what is kept, by --policy or --keep")
    return RetentionPolicy(rules=rules)


def span_of(text: str | None) -> timedelta | None:
    """Read a span of time such as 90s or 10m.

    Args:
        text: The span.

    Raises:
        UsageError: If it is none.
    """
    if text is None:
        return None
    adapter: TypeAdapter[timedelta] = TypeAdapter(Span)
    try:
        return adapter.validate_python(text)
    except ValidationError:
        raise UsageError(f"{text!r} is no span of time; 10m, 90d and 2w are") from None


def prune(  # noqa: PLR0913 (what the command was told)
    config: PersistenceConfig,
    policy: RetentionPolicy,
    extensions: Sequence[Extension],
    *,
    budget: timedelta | None,
    dry_run: bool,
    everything: bool,
    archive: Path | None,
    compact: bool,
    as_json: bool,
) -> None:
    """Remove what a policy does not keep, and say what came of it.

    Args:
        config: The database.
        policy: What is kept.
        extensions: The application's own tables.
        budget: How long it may take.
        dry_run: Whether to count alone.
        everything: Whether all records of a kind may be removed.
        archive: The folder into which records are written before they are removed.
        compact: Whether to give the space of removed records back.
        as_json: Whether to print the outcome as JSON.
    """
    create_dialect(config).refuse_absence()

    async def work(told: Progress) -> PruneReport:
        backend = create_backend(config, extensions=extensions, observers=observers())
        async with backend:
            return await prune_backend(
                backend,
                policy,
                budget=budget,
                dry_run=dry_run,
                everything=everything,
                archive=archive,
                compact=compact,
                progress=lambda name, removed, total: told("prune", name, removed, total),
            )

    report = shown(work)
    if as_json:
        typer.echo(json.dumps({"kinds": [asdict(each) for each in report.kinds]}, indent=2))
        return
    table = table_of_numbers("kind", "removed", "would be removed" if dry_run else "remaining")
    for each in report.kinds:
        table.add_row(each.name, f"{each.removed:,}", f"{each.remaining:,}")
    Console().print(table)
    if dry_run:
        typer.echo(f"would be removed: {report.remaining:,} records")
    else:
        typer.echo(f"removed: {report.removed:,} records, {report.remaining:,} remaining")

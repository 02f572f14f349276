"""What `synthorg-db doctor` shows."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

import typer
from rich.console import Console
from rich.markup import escape

from synthorg.persistence.cli.failures import ExitCode
from synthorg.persistence.cli.observing import observers
from synthorg.persistence.config import PersistenceConfig
from synthorg.persistence.diagnosis import Severity, examine_database
from synthorg.persistence.extension import Extension

_STYLES: Final = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}


def examine(
    config: PersistenceConfig, extensions: Sequence[Extension], *, rows: bool, as_json: bool
) -> None:
    """Examine a database, say what was found, and fail if that is more than notes."""
    found = asyncio.run(
        examine_database(config, extensions=extensions, rows=rows, observers=observers())
    )
    if as_json:
        findings = [asdict(each) for each in found.findings]
        healthy = found.is_healthy
        outcome = {"database": found.database, "healthy": healthy, "findings": findings}
        typer.echo(json.dumps(outcome, indent=2))
    else:
        console = Console(soft_wrap=True, highlight=False)
        for each in found.findings:
            style = _STYLES[each.severity]
            console.print(f"[{style}]{each.severity}[/] {each.topic}: {escape(each.what)}")
            console.print(f"    {escape(each.remedy)}")
        if not found.findings:
            console.print("nothing to complain about")
    if not found.is_healthy:
        raise typer.Exit(ExitCode.REFUSED)

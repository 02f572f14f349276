"""Commands give their spans where OpenTelemetry is set up, as `opentelemetry-instrument` does."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from synthorg.persistence.cli.observing import observers
from synthorg.persistence.config import DATABASE_URL_VARIABLE
from tests.cli.conftest import command_on


def traced(url: str, *commands: str) -> list[Any]:
    """Run commands in a process that has a provider; give the exit code and the spans of each."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.cli.traced", *commands],
        env={**os.environ, DATABASE_URL_VARIABLE: url},
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in run.stdout.splitlines()]


def test_each_command_is_a_span(tmp_path: Path) -> None:
    url, other = f"sqlite:///{tmp_path / 'a.db'}", f"sqlite:///{tmp_path / 'b.db'}"
    spans = {
        "migrate": "migrate",
        "status": "status",
        "check": "check",
        "doctor": "examine_database",
        "prune --keep heartbeats=1d": "prune",
        "roll-up": "roll_up_costs",
        f"copy {url} {other}": "copy_database",
        f"copy {url} {other} --verify-only": "compare_databases",
        f"backup {tmp_path / 'backup.db'}": "back_up",
        f"restore {tmp_path / 'backup.db'} --overwrite": "restore",
        f"export {tmp_path / 'export'}": "export_database",
        f"import {tmp_path / 'export'}": "import_database",
        "downgrade base --yes": "downgrade",
    }
    assert traced(url, *spans) == [[0, {name: None}] for name in spans.values()]


def test_a_command_that_fails_has_a_span_with_its_error(tmp_path: Path) -> None:
    ((code, spans),) = traced(f"sqlite:///{tmp_path / 'none' / 'a.db'}", f"backup {tmp_path / 'b'}")
    assert code == 3
    assert spans == {"back_up": "PersistenceConnectionError"}


def test_without_a_provider_a_command_tells_nobody() -> None:
    assert observers() == ()


def test_without_opentelemetry_a_command_does_what_it_does(
    migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "synthorg.persistence.telemetry", None)
    assert observers() == ()
    assert command_on(migrated_url)("status").exit_code == 0

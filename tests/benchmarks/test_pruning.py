"""The whole command runs, and others' calls are timed while costs are pruned."""

from pathlib import Path

import pytest

from benchmarks.pruning import main


def test_the_command_shows_others_calls_beside_what_was_pruned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--costs", "800", "--seconds", "0.3", "--folder", str(tmp_path)]
    assert main(["--database", "sqlite-full", *options]) == 0
    shown = capsys.readouterr().out
    assert "times as long" in shown
    assert "costs remaining" in shown

"""The whole command runs, and would notice a sum that has changed."""

from pathlib import Path

import pytest

from benchmarks.rollups import check_same, main
from synthorg.persistence.totals import CostTotal


def test_the_command_shows_each_question_before_and_after(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(tmp_path)
    assert main(["--database", "sqlite-full", "--costs", "800", "--folder", folder]) == 0
    shown = capsys.readouterr().out
    assert "Totals of 800 costs" in shown
    assert "the year by project" in shown


def test_a_sum_that_has_changed_is_an_error() -> None:
    total = CostTotal(project="website", cost_usd=1.0, records=2)
    check_same("by project", [total], [total])
    for other in (CostTotal(project="website", cost_usd=1.0, records=3), CostTotal()):
        with pytest.raises(ValueError, match="by project: the sums have changed"):
            check_same("by project", [total], [other])

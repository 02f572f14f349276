"""The whole command runs."""

from pathlib import Path

import pytest

from benchmarks.point_reads import CONTENDERS, main


def test_the_command_shows_speed_and_stalls_of_each_setting(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quick = ["--rows", "500", "--rounds", "2", "--seconds", "0.2"]
    assert main([*quick, "--folder", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    for name in CONTENDERS:
        assert f"get-64, {name}" in shown
        assert f"cold, 1, {name}" in shown
        assert f"cold unit, {name}" in shown
    assert not list(tmp_path.glob("*.db"))

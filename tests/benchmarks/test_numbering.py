"""The comparison of messages with and without numbers."""

from pathlib import Path

import pytest

from benchmarks import numbering


async def test_both_sets_of_tables_are_written_and_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"ROUNDS": 1, "CALLERS": 2, "CALLS": 2, "BULK": 10}.items():
        monkeypatch.setattr(numbering, name, value)
    told: list[str] = []

    await numbering.measure(f"sqlite:///{tmp_path / 'numbering.db'}", told.append)

    assert [line.split(":")[0] for line in told] == [
        "sqlite save",
        "sqlite save_many",
        "sqlite bytes per message",
    ]

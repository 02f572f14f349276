"""A whole run, in small."""

import json
from pathlib import Path

import pytest

from benchmarks.contenders import competing
from benchmarks.data import Volume
from benchmarks.measure import DisagreementError, Plan, Race, measure
from benchmarks.worker import Order, Outcome


def test_a_run_measures_each_round_of_each_contender_in_a_process_of_its_own(
    tmp_path: Path,
) -> None:
    names = ("synthorg", "aiosqlite", "asyncpg", "aiosqlite-again")
    plan = Plan(names, ("get", "save"), 2, Volume(rows=300), quick=True, folder=tmp_path)

    results = measure("sqlite-normal", plan, lambda _: None)

    assert results.problems == []
    assert results.settings["synchronous"] == "normal"
    for workload in plan.workloads:
        found = results.of(workload)
        assert list(found) == ["synthorg", "aiosqlite", "aiosqlite-again"]
        assert all(len(each.seconds) == 2 for each in found.values())
    assert list(tmp_path.iterdir()) == [], "the databases are removed"


def test_who_takes_part_in_some_workloads_is_started_for_those_alone(tmp_path: Path) -> None:
    names = ("synthorg", "aiosqlite-bulk")
    plan = Plan(names, ("get", "bulk"), 1, Volume(rows=300), quick=True, folder=tmp_path)

    results = measure("sqlite-normal", plan, lambda _: None)

    assert results.problems == []
    assert list(results.of("bulk")) == ["synthorg", "aiosqlite-bulk"]
    assert list(results.of("get")) == ["synthorg"]
    assert competing(names, "sqlite", ("get",)) == ["synthorg"]


def test_a_round_in_which_contenders_have_read_different_records_does_not_count() -> None:
    race = Race({})

    with pytest.raises(DisagreementError, match="get, round 1: "):
        race.record(Order("get", 1, 1), {"one": Outcome(1, "abc"), "other": Outcome(1, "abd")})

    assert race.seconds == {}


def test_the_command_saves_figures_and_a_chart_for_each_workload(tmp_path: Path) -> None:
    pytest.importorskip("drawsvg", reason="the extra bench is not installed")
    from benchmarks.__main__ import main  # noqa: PLC0415 (needs drawsvg)

    status = main(
        [
            *("--quick", "--database", "sqlite-full", "--contenders", "synthorg,aiosqlite"),
            *("--workloads", "get,sum", "--rows", "300", "--rounds", "1"),
            *("--folder", str(tmp_path / "files"), "--output", str(tmp_path / "results")),
        ]
    )

    assert status == 0
    written = {path.name for path in (tmp_path / "results").iterdir()}
    assert written == {"results.json", "results.md", "get.svg", "sum.svg"}
    content = json.loads((tmp_path / "results" / "results.json").read_text())
    assert content["settings"]["rounds"] == 1
    (database,) = content["databases"]
    assert len(database["measurements"]) == 4
    assert "synthorg" in (tmp_path / "results" / "get.svg").read_text()

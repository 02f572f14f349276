"""Walks are watched closely, memory is measured as it is, and the whole command runs."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.data import Volume
from benchmarks.databases import fill
from benchmarks.memory import EXACT, Peak
from benchmarks.results import Spread
from benchmarks.volume import LIMIT, Figures, main, too_large
from benchmarks.volume_steps import (
    CHANNEL,
    Measured,
    PageWalk,
    Sizes,
    TaskSaves,
    Walk,
    WalkError,
    messages,
    store_messages,
    store_tasks,
    walk_by_pages,
    walk_by_stream,
)
from synthorg.persistence import PersistenceConfig, create_backend
from synthorg.persistence.transactions import TransactionalBackend

SIZES = Sizes(records=350, tasks=21)
STEP = Measured(100, 3.0, 1.0, before=10 * 2**20, peak=14 * 2**20, method=EXACT)


@pytest.fixture
async def backend(tmp_path: Path) -> AsyncIterator[TransactionalBackend]:
    url = f"sqlite:///{tmp_path / 'volume.db'}"
    await fill(url, Volume(0))
    backend = create_backend(PersistenceConfig.from_url(url))
    await backend.connect()
    yield backend
    await backend.disconnect()


async def test_both_walks_see_what_was_stored(backend: TransactionalBackend) -> None:
    stored = await store_messages(backend, SIZES)
    by_pages = await walk_by_pages(backend, SIZES)
    by_stream = await walk_by_stream(backend, SIZES)

    assert len(await backend.messages.get_history(CHANNEL)) == 350
    assert [each.records for each in (stored, by_pages.walk, by_stream)] == [350] * 3
    assert list(by_pages.milliseconds) == [1, 2, 3]
    assert 0 < stored.making_seconds < stored.seconds


async def test_a_walk_that_misses_a_message_fails(backend: TransactionalBackend) -> None:
    await store_messages(backend, SIZES)
    more = replace(SIZES, records=351)

    with pytest.raises(WalkError, match="350 messages came, but 351 are stored"):
        await walk_by_pages(backend, more)
    with pytest.raises(WalkError, match="350 messages came, but 351 are stored"):
        await walk_by_stream(backend, more)


def test_a_walk_that_repeats_a_message_or_comes_back_to_a_newer_one_fails() -> None:
    newest_first = [*messages(5)][::-1]
    assert newest_first[1].timestamp == newest_first[2].timestamp, "the order of saving decides"
    walk = Walk()
    for each in newest_first[:3]:
        walk.see(each)

    for earlier in newest_first[:3]:
        with pytest.raises(WalkError, match="at place 3, too late"):
            walk.see(earlier)


async def test_tasks_are_stored_at_once_and_singly(backend: TransactionalBackend) -> None:
    saves = await store_tasks(backend, SIZES)

    assert (saves.at_once.records, saves.single.records) == (21, 21)
    assert len(await backend.tasks.list_tasks()) == 42
    assert saves.ratio > 0


def test_the_far_page_is_a_full_one() -> None:
    assert Sizes(records=1_000_099, tasks=1).timed_pages == (1, 5_000, 10_000)
    assert Sizes(records=999_999, tasks=1).timed_pages == (1, 5_000, 9_999)
    assert Sizes(records=1, tasks=1).timed_pages == (1, 1, 1)


def test_memory_that_was_given_back_counts_and_what_was_before_does_not() -> None:
    take_and_give_back(64 * 2**20)
    peak = Peak()
    if peak.method != EXACT:
        pytest.skip("this system does not forget a peak")

    take_and_give_back(128 * 2**20)

    assert 120 * 2**20 < peak.bytes() - peak.before < 136 * 2**20


def take_and_give_back(size: int) -> None:
    """Have so many bytes resident for a moment."""
    _ = bytearray(b"x") * size


def test_rates_leave_out_the_time_to_make_records() -> None:
    assert STEP.rate == pytest.approx(50)
    assert STEP.rate_with_making == pytest.approx(100 / 3)
    assert STEP.growth == 4 * 2**20


def test_a_step_that_takes_too_much_memory_is_named() -> None:
    walk = PageWalk(STEP, {1: Spread.of([1.0])})
    small = Figures("postgresql", {}, STEP, walk, STEP, TaskSaves(STEP, STEP))
    large = replace(small, stream=replace(STEP, peak=STEP.before + LIMIT + 1))

    assert too_large([small]) == []
    assert too_large([small, large]) == ["stream on PostgreSQL"]


def test_the_command_saves_figures_and_a_table(tmp_path: Path) -> None:
    status = main(
        [
            *("--database", "sqlite-normal", "--records", "300", "--tasks", "20"),
            *("--folder", str(tmp_path / "files"), "--output", str(tmp_path / "results")),
        ]
    )

    assert status == 0
    (database,) = json.loads((tmp_path / "results" / "volume.json").read_text())["databases"]
    assert database["stream"]["records"] == 300
    assert database["tasks"]["single"]["records"] == 20
    assert "walk by pages of 100" in (tmp_path / "results" / "volume.md").read_text()
    assert list((tmp_path / "files").iterdir()) == [], "the databases are removed"

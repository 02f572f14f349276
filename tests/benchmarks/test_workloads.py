"""The work is the same in every run, and a contender that reads something else is found out."""

from typing import Any

import pytest

from benchmarks.data import Volume, task
from benchmarks.results import Measurement
from benchmarks.workloads import Supply, carry_out, fingerprint

VOLUME = Volume(rows=2_000)


def supply(round_number: int = 1) -> Supply:
    return Supply(VOLUME, "save", round_number, 0)


def test_the_same_round_has_the_same_work_every_time() -> None:
    assert supply().new_tasks(20) == supply().new_tasks(20)
    assert supply().changed_tasks(20) == supply().changed_tasks(20)
    assert supply().jobs(5) == supply().jobs(5)
    assert supply().stored_ids(20) == supply().stored_ids(20)


def test_no_round_saves_new_tasks_that_another_one_has_saved() -> None:
    ids = {each.id for number in range(3) for each in supply(number).new_tasks(1_000)}

    assert len(ids) == 3_000


def test_a_changed_task_replaces_a_stored_one_in_its_own_project() -> None:
    stored = {each.id: each for each in VOLUME.tasks()}

    changed = supply().changed_tasks(40)

    assert all(each != stored[each.id] for each in changed)
    assert all(each.project == stored[each.id].project for each in changed)


def test_what_is_read_while_others_save_is_never_saved() -> None:
    replaced = {each.id for each in supply().changed_tasks(500)}

    assert replaced.isdisjoint(supply().stored_ids(5_000))


def test_another_record_has_another_fingerprint() -> None:
    one, other = task(1, project=1), task(1, project=1, revision=1)

    assert fingerprint([one, None]) == fingerprint([one.model_copy(), None])
    assert fingerprint([one, None]) != fingerprint([other, None])
    assert fingerprint([one, None]) != fingerprint([None, one])


async def test_results_keep_the_order_of_the_operations_at_any_width() -> None:
    async def give(number: int) -> int:
        return number

    operations = [lambda _contender, number=number: give(number) for number in range(50)]
    nobody: Any = None

    assert await carry_out(operations, nobody, 1) == list(range(50))
    assert await carry_out(operations, nobody, 7) == list(range(50))


def test_a_ratio_compares_round_with_round() -> None:
    slow_then_fast = Measurement("get", "one", 100, [2.0, 1.0, 4.0])
    twice_as_fast = Measurement("get", "other", 100, [1.0, 0.5, 1.0])

    ratio = twice_as_fast.ratio_to(slow_then_fast)

    assert (ratio.least, ratio.middle, ratio.most) == (2.0, 2.0, 4.0)
    assert twice_as_fast.rates.middle == pytest.approx(100)

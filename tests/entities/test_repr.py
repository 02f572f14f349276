"""What an entity shows of itself, which ends up in logs."""

import pytest

from synthorg.entities import Attachment, CostRecord, Entity
from synthorg.persistence.testing.kind import Kind
from synthorg.persistence.testing.kinds import COST_RECORDS, KINDS, TASKS
from synthorg.persistence.testing.plugin import pytest_assertrepr_compare

ENTITIES = [kind for kind in KINDS if isinstance(kind.example, Entity)]


@pytest.mark.parametrize("kind", ENTITIES, ids=repr)
def test_it_is_the_class_and_the_ids_and_no_other_value(kind: Kind) -> None:
    record = kind.example
    shown = repr(record)
    ids = {name for name, _ in record if name == "id" or name.endswith("_id")}

    assert shown.startswith(f"{type(record).__name__}(")
    assert ids
    assert all(f"{name}=" in shown for name in ids if getattr(record, name) is not None)
    for name, value in record:
        if name not in ids:
            assert f"{name}=" not in shown
            assert not isinstance(value, str) or repr(value) not in shown
            assert not isinstance(value, str) or repr(value) not in str(record)


def test_it_reads_as_a_call() -> None:
    assert repr(TASKS.example.model_copy(update={"id": "task-1", "parent_task_id": None})) == (
        "Task(id='task-1', ...)"
    )
    some = COST_RECORDS.example.model_copy(update={"agent_id": "a", "task_id": "t"})
    assert isinstance(some, CostRecord)
    assert repr(some) == "CostRecord(agent_id='a', task_id='t', ...)"
    assert repr(Attachment(type="link", ref="r")) == "Attachment(...)"


def test_pytest_says_in_which_fields_two_differ() -> None:
    one = TASKS.example.model_copy(update={"id": "t", "title": "one", "parent_task_id": None})
    other = one.model_copy(update={"title": "other"})

    assert pytest_assertrepr_compare("==", one, other) == [
        "Task(id='t', ...) == Task(id='t', ...)",
        "title: 'one' != 'other'",
    ]
    assert pytest_assertrepr_compare("!=", one, other) is None
    assert pytest_assertrepr_compare("==", one, "other") is None

"""Pages: together they are the list, whatever happens to it meanwhile, and cursors are checked."""

from typing import Any, Final

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from synthorg.persistence import QueryError
from synthorg.persistence.sql.statements.cursors import write_cursor
from synthorg.persistence.testing.backend.paging import CURSOR_CHARACTERS, NO_CURSOR
from synthorg.persistence.testing.kinds import TASKS
from synthorg.persistence.transactions import TransactionalBackend

many_examples = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@many_examples
@given(st.text() | st.text(CURSOR_CHARACTERS) | st.text(st.characters(codec=None)))
@example("")
@example("null")
@example("\ud800")
@example("\u00e9")
async def test_garbage_is_no_cursor(backend: TransactionalBackend, garbage: str) -> None:
    with pytest.raises(QueryError, match=NO_CURSOR):
        await backend.tasks.page(after=garbage)


_VALUES: Final = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.datetimes(),
    st.lists(st.text(max_size=5), max_size=2),
    st.dictionaries(st.sampled_from(("time", "id")), st.integers() | st.text(max_size=5)),
)


@many_examples
@given(st.lists(_VALUES, max_size=3))
@example([{"time": 5}])
@example([{"time": "2024-03-01T00:00:00"}])
@example(["id", "id"])
@example([None])
async def test_a_forged_cursor_leads_somewhere_in_the_list_or_is_refused(
    backend: TransactionalBackend, position: list[Any]
) -> None:
    def forge(*position: Any) -> str:
        return write_cursor("tasks", {"order": ["id", False]}, position)

    tasks = [TASKS.make(id="1"), TASKS.make(id="2")]
    await TASKS.store(backend, *tasks)
    assert (await backend.tasks.page(limit=1)).next_cursor == forge("1")
    try:
        page = await backend.tasks.page(after=forge(*position))
    except QueryError:
        return
    after = "" if position[0] is None else position[0]
    assert list(page.items) == [task for task in tasks if task.id > after]

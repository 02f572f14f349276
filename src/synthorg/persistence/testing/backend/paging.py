"""Pages: together they are the list, whatever happens to it meanwhile, and cursors are checked."""

from itertools import permutations
from random import Random
from typing import Any, Final, cast

import pytest

from synthorg.entities import TaskStatus
from synthorg.persistence import InvalidArgumentError
from synthorg.persistence.testing.awkward import TIMES
from synthorg.persistence.testing.kinds import TASKS
from synthorg.persistence.testing.needs import needs
from synthorg.persistence.testing.walks import LIMITS, WALKS, Walk, walks
from synthorg.persistence.transactions import TransactionalBackend

NO_CURSOR: Final = r"after is not a cursor of this list with these filters"

CURSOR_CHARACTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+/ \n"


async def _change(
    backend: TransactionalBackend, walk: Walk, random: Random, stored: list[Any], coming: list[Any]
) -> None:
    """Add a record, or delete one where that can be done."""
    if stored and walk.kind.delete is not None and random.random() < 0.6:
        assert await walk.kind.delete(backend, stored.pop(random.randrange(len(stored))))
    elif coming:
        stored.append(coming.pop())
        await walk.kind.store(backend, stored[-1])


async def _some_cursors(
    backend: TransactionalBackend, walk: Walk
) -> list[tuple[dict[str, Any], str]]:
    """Collect cursors to the second page, for as many filters as there are."""
    random = Random(str(walk))
    await walk.fill(backend, walk.population(random))
    cursors = []
    for arguments in walk.calls(random, rounds=3):
        page = await walk.page(backend, arguments, limit=1)
        if page.next_cursor is not None:
            cursors.append((arguments, page.next_cursor))
    return cursors[:10]


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Compare filters, whatever the zones of the times in them."""
    texts = [
        {
            name: value.astimezone(TIMES[0].tzinfo) if name in ("since", "until") else value
            for name, value in arguments.items()
            if value is not None
        }
        for arguments in (one, other)
    ]
    return texts[0] == texts[1]


def _places(cursor: str) -> list[tuple[int, str]]:
    return [
        (place, character)
        for place in range(len(cursor) + 1)
        for character in {*CURSOR_CHARACTERS, "\u00e9", "\x00"}
    ]


async def _cursor_of_tasks(backend: TransactionalBackend) -> str:
    await TASKS.store(backend, TASKS.make(id="t\u00e4sk 1"), TASKS.make(id="task 2"))
    cursor = (await backend.tasks.page(limit=1)).next_cursor
    assert cursor is not None
    return cursor


class Paging:
    """Pages: together they are the list, whatever happens to it meanwhile."""

    @needs(TransactionalBackend)
    @walks()
    async def test_the_pages_of_a_list_together_are_the_list(
        self, backend: TransactionalBackend, walk: Walk
    ) -> None:
        random = Random(str(walk))
        records = walk.population(random)
        await walk.fill(backend, records)
        for arguments in walk.calls(random, rounds=1):
            limit = random.choice(LIMITS)
            pages = [page.items async for page in walk.pages(backend, arguments, limit=limit)]
            expected = walk.expected(records, arguments)
            assert [item for page in pages for item in page] == expected, (arguments, limit)
            assert all(len(page) == limit for page in pages[:-1])
            assert 0 < len(pages[-1]) <= limit or not expected

    @needs(TransactionalBackend)
    @walks()
    async def test_pages_are_the_same_in_a_unit_of_work(
        self, backend: TransactionalBackend, walk: Walk
    ) -> None:
        random = Random(str(walk))
        records = walk.population(random)
        async with backend.transaction() as unit:
            await walk.fill(unit, records)
            for arguments in list(walk.calls(random, rounds=1))[:4]:
                pages = [page.items async for page in walk.pages(unit, arguments, limit=7)]
                assert sum(pages, ()) == tuple(walk.expected(records, arguments))

    @needs(TransactionalBackend)
    @walks()
    async def test_a_list_whose_length_is_a_multiple_of_the_limit_has_no_empty_page(
        self, backend: TransactionalBackend, walk: Walk
    ) -> None:
        random = Random(str(walk))
        records = walk.population(random)
        arguments = walk.widest(random, records)
        while len(walk.expected(records, arguments)) % 2:
            records.pop()
        await walk.fill(backend, records)
        length = len(walk.expected(records, arguments))
        assert length > 0
        for limit in (length, length // 2):
            sizes = [len(page.items) async for page in walk.pages(backend, arguments, limit=limit)]
            assert sizes == [limit] * (length // limit)

    @needs(TransactionalBackend)
    @walks()
    async def test_records_that_come_and_go_between_pages_move_no_others(
        self, backend: TransactionalBackend, walk: Walk
    ) -> None:
        random = Random(str(walk))
        coming = walk.population(random)
        arguments = walk.widest(random, coming)
        stored = [coming.pop() for _ in range(len(coming) // 2)]
        await walk.fill(backend, stored)
        rest, cursor = walk.expected(stored, arguments), None
        while True:
            limit = random.randint(1, 4)
            page = await walk.page(backend, arguments, limit=limit, after=cursor)
            assert list(page.items) == rest[:limit]
            assert (page.next_cursor is None) == (len(rest) <= limit)
            if page.next_cursor is None:
                return
            cursor = page.next_cursor
            for _ in range(random.randint(0, 3)):
                await _change(backend, walk, random, stored, coming)
            rest = walk.rest(stored, arguments, page.items[-1])
            if not rest:  # the page before could not know that the last record would go
                assert (await walk.page(backend, arguments, limit=limit, after=cursor)).items == ()
                return

    @needs(TransactionalBackend)
    async def test_a_cursor_of_another_list_is_refused(self, backend: TransactionalBackend) -> None:
        cursors = [(walk, *(await _some_cursors(backend, walk))[0]) for walk in WALKS]
        for (walk, arguments, _), (_, _, other) in permutations(cursors, 2):
            with pytest.raises(InvalidArgumentError, match=f"{walk.kind.repository}: {NO_CURSOR}"):
                await walk.page(backend, arguments, limit=1, after=other)

    @needs(TransactionalBackend)
    @walks(lambda walk: walk.filters or walk.bounds)
    async def test_a_cursor_of_other_filters_is_refused(
        self, backend: TransactionalBackend, walk: Walk
    ) -> None:
        refusals = 0
        for arguments, cursor in await _some_cursors(backend, walk):
            for other in walk.calls(Random(cursor), rounds=1):
                if _same(arguments, other):
                    continue
                with pytest.raises(InvalidArgumentError, match=NO_CURSOR):
                    await walk.page(backend, other, limit=1, after=cursor)
                refusals += 1
        assert refusals > 0

    @needs(TransactionalBackend)
    async def test_a_cursor_serves_for_the_same_filters_in_other_words(
        self,
        backend: TransactionalBackend,
    ) -> None:
        tasks = [TASKS.make(id=str(number)) for number in range(3)]
        await TASKS.store(backend, *tasks)
        first = await backend.tasks.page(status=TaskStatus.BLOCKED, assigned_to=None, limit=1)
        second = await backend.tasks.page(status="blocked", limit=5, after=first.next_cursor)  # type: ignore[arg-type]
        assert [*first.items, *second.items] == tasks

    @needs(TransactionalBackend)
    async def test_a_cursor_that_was_tampered_with_is_refused(
        self, backend: TransactionalBackend
    ) -> None:
        cursor = await _cursor_of_tasks(backend)
        tampered = {
            *(cursor[:place] for place in range(len(cursor))),
            *(cursor[place:] for place in range(1, len(cursor) + 1)),
            *(cursor[:place] + cursor[place + 1 :] for place in range(len(cursor))),
            *(cursor[:place] + new + cursor[place:] for place, new in _places(cursor)),
            *(cursor[:place] + new + cursor[place + 1 :] for place, new in _places(cursor)),
            cursor + cursor,
            cursor.lower(),
        } - {cursor}
        for wrong in tampered:
            with pytest.raises(InvalidArgumentError, match=NO_CURSOR):
                await backend.tasks.page(after=wrong)

    @needs(TransactionalBackend)
    async def test_a_limit_that_is_no_positive_number_is_refused(
        self,
        backend: TransactionalBackend,
    ) -> None:
        for walk in WALKS:
            arguments = walk.widest(Random(0), [])
            for limit in (0, -1, 1.5, "10"):
                with pytest.raises(
                    InvalidArgumentError, match=r"limit must be a whole number and at least 1"
                ):
                    await walk.page(backend, arguments, limit=cast("int", limit))

    @needs(TransactionalBackend)
    async def test_what_is_no_filter_of_a_list_is_a_type_error(
        self, backend: TransactionalBackend
    ) -> None:
        for walk in WALKS:
            arguments = walk.widest(Random(0), [])
            repository = getattr(backend, walk.kind.repository)
            required = [arguments[name] for name in walk.required]
            for unknown in ("colour", "after_id", "offset", "id"):
                with pytest.raises(TypeError, match=unknown):
                    await repository.page(*required, **{unknown: "x"})
                with pytest.raises(TypeError, match=unknown):
                    await anext(repository.stream(*required, **{unknown: "x"}))
            with pytest.raises(TypeError):
                await repository.page(*required, "one too many")
        with pytest.raises(TypeError, match="channel"):
            await backend.messages.page()  # type: ignore[call-arg]

    @needs(TransactionalBackend)
    async def test_a_range_of_pages_that_ends_before_it_begins_is_refused(
        self,
        backend: TransactionalBackend,
    ) -> None:
        arguments = {"since": TIMES[-1], "until": TIMES[0]}
        for walk in WALKS:
            if len(walk.bounds) > 1:
                with pytest.raises(InvalidArgumentError, match=r"until must not be before since"):
                    await walk.page(backend, arguments, limit=1)
                with pytest.raises(InvalidArgumentError, match=r"until must not be before since"):
                    await anext(walk.stream(backend, arguments))

"""What the bases of repositories promise, as tests of an application's own repositories.

Derive a class of tests from the one that is named after the base, and say which repository it is.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, ClassVar

import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from synthorg.persistence.errors import (
    DuplicateRecordError,
    InvalidArgumentError,
    PersistenceError,
    VersionConflictError,
)
from synthorg.persistence.extension import Extension
from synthorg.persistence.sql.tables import record_key
from synthorg.persistence.testing.concurrency import together
from synthorg.persistence.testing.strategies import records
from synthorg.persistence.testing.units import rolled_back
from synthorg.persistence.transactions import ManagedBackend, UnitOfWork

SAVERS = 8


class ListedConformance:
    """What holds for every repository with a list: saving many, order, filters, pages, streams."""

    pytestmark = pytest.mark.asyncio

    repository: ClassVar[type[Any]]
    """The repository that is tested."""

    extensions: ClassVar[Sequence[Extension]]
    """The extension that it belongs to, after those that it refers to."""

    records: ClassVar[Sequence[Any] | SearchStrategy[Any] | None] = None
    """Three records or more under keys of their own, or all that there may be.

    Without any, they are made by the types of the model's fields.
    """

    required: ClassVar[Sequence[Any]] = ()
    """The values that the list requires of each call; all records have to be in that list."""

    async def prepare(self, stores: ManagedBackend | UnitOfWork, record: Any, /) -> None:
        """Save what a record refers to, unless it is there; by default, nothing."""

    @pytest.fixture
    def persistence_extensions(self) -> Sequence[Extension]:
        """The extensions of these tests."""
        return self.extensions

    @pytest.fixture
    def samples(self) -> Sequence[Any]:
        """Records under keys of their own."""
        return self.choose()

    def choose(self) -> Sequence[Any]:
        """Take the records that were given, or draw some of all that there may be."""
        given_ = records(self.repository.record) if self.records is None else self.records
        chosen = _drawn(given_, self) if isinstance(given_, SearchStrategy) else given_
        assert len(chosen) > 2, "give three records or more"
        return chosen

    @pytest_asyncio.fixture
    async def prepared(self, persistence_backend: ManagedBackend, samples: Sequence[Any]) -> Any:
        """The repository, after all that the records refer to was saved."""
        for record in samples:
            await self.prepare(persistence_backend, record)
        return persistence_backend.repository(self.repository)

    def key_of(self, record: Any) -> Any:
        """Give the key of a record."""
        key = tuple(getattr(record, column.name) for column in record_key(self.repository.table))
        return key[0] if len(key) == 1 else key

    def in_order(self, chosen: Sequence[Any]) -> tuple[Any, ...]:
        """Sort records as the list does."""
        listing = self.repository.listing
        return tuple(
            sorted(
                chosen,
                key=lambda record: [getattr(record, name) for name in listing.order],
                reverse=listing.is_descending,
            )
        )

    async def everything(self, repository: Any) -> tuple[Any, ...]:
        """Read the list."""
        found: tuple[Any, ...] = await repository.find(*self.required)
        return found

    async def test_what_is_saved_is_listed_in_order(
        self, prepared: Any, samples: Sequence[Any]
    ) -> None:
        for record in reversed(samples):
            await prepared.save(record)
        assert await self.everything(prepared) == self.in_order(samples)

    async def test_many_are_saved_at_once_from_whatever_gives_them(
        self, prepared: Any, samples: Sequence[Any]
    ) -> None:
        await prepared.save_many(record for record in samples)
        assert await self.everything(prepared) == self.in_order(samples)

    async def test_pages_and_stream_are_the_list(
        self, prepared: Any, samples: Sequence[Any]
    ) -> None:
        await prepared.save_many(samples)
        listed = await self.everything(prepared)
        assert tuple([each async for each in prepared.stream(*self.required)]) == listed
        walked: list[Any] = []
        page = await prepared.page(*self.required, limit=1)
        walked += page.items
        while page.next_cursor is not None:
            page = await prepared.page(*self.required, limit=1, after=page.next_cursor)
            walked += page.items
        assert tuple(walked) == listed

    async def test_each_filter_lists_what_matches(
        self, prepared: Any, samples: Sequence[Any]
    ) -> None:
        await prepared.save_many(samples)
        listed = await self.everything(prepared)
        for name in {*self.repository.listing.filters.names} & {*_fields(samples[0])}:
            for value in {getattr(record, name) for record in samples} - {None}:
                expected = tuple(each for each in listed if getattr(each, name) == value)
                assert await prepared.find(*self.required, **{name: value}) == expected, name

    async def test_an_unknown_filter_is_refused(self, prepared: Any) -> None:
        with pytest.raises(TypeError, match="no_such_filter"):
            await prepared.find(*self.required, no_such_filter=1)

    async def test_a_record_that_could_not_be_read_is_refused_and_nothing_is_saved(
        self, prepared: Any, samples: Sequence[Any]
    ) -> None:
        for name in _fields(samples[0]):
            forged = samples[-1].model_copy(update={name: object()})
            with pytest.raises(InvalidArgumentError, match=name):
                await prepared.save(forged)
            with pytest.raises(InvalidArgumentError, match=name):
                await prepared.save_many([*samples[:-1], forged])
        assert await self.everything(prepared) == ()

    async def test_what_is_no_record_is_refused(self, prepared: Any) -> None:
        for other in (None, {}, "record", object()):
            with pytest.raises(InvalidArgumentError):
                await prepared.save(other)

    async def test_what_is_saved_in_a_unit_comes_with_it(
        self, persistence_backend: ManagedBackend, prepared: Any, samples: Sequence[Any]
    ) -> None:
        async with persistence_backend.transaction() as unit:
            within = unit.repository(self.repository)
            await within.save_many(samples)
            assert await self.everything(within) == self.in_order(samples)
        assert await self.everything(prepared) == self.in_order(samples)

    async def test_what_is_saved_in_a_unit_goes_with_it(
        self, persistence_backend: ManagedBackend, prepared: Any, samples: Sequence[Any]
    ) -> None:
        async with rolled_back(persistence_backend) as unit:
            await unit.repository(self.repository).save(samples[0])
        assert await self.everything(prepared) == ()


class AppendOnlyConformance(ListedConformance):
    """What `AppendOnlyRepository` promises."""

    async def test_a_stored_record_never_changes(
        self, prepared: Any, samples: Sequence[Any]
    ) -> None:
        await prepared.save(samples[0])
        other = _under(self, samples[1], samples[0])
        for again in (samples[0], other):
            with pytest.raises(DuplicateRecordError):
                await prepared.save(again)
        assert await self.everything(prepared) == (samples[0],)


class KeyedConformance(ListedConformance):
    """What `KeyedRepository` promises."""

    async def test_what_is_saved_is_got_by_its_key(
        self, prepared: Any, samples: Sequence[Any]
    ) -> None:
        await prepared.save_many(samples)
        for record in samples:
            assert await prepared.get(self.key_of(record)) == record
        keys = [self.key_of(record) for record in samples]
        assert await prepared.get_many([*keys, "unknown"]) == dict(zip(keys, samples, strict=True))

    async def test_what_was_never_saved_is_not_found(
        self, prepared: Any, samples: Sequence[Any]
    ) -> None:
        await prepared.save(samples[0])
        assert await prepared.get(self.key_of(samples[1])) is None
        assert not await prepared.delete(self.key_of(samples[1]))

    async def test_saving_again_replaces_every_field_that_is_not_kept(
        self, prepared: Any, samples: Sequence[Any]
    ) -> None:
        await self.overwrite(prepared, samples[0])
        changed = _under(self, samples[1], samples[0])
        await self.overwrite(prepared, changed)
        kept = {name: getattr(samples[0], name) for name in self.repository.kept}
        expected = changed.model_copy(update=kept)
        assert await prepared.get(self.key_of(samples[0])) == expected

    async def overwrite(self, repository: Any, record: Any) -> None:
        """Save a record, whatever is stored under its key."""
        await repository.save(record)

    async def test_what_is_inserted_must_be_new(
        self, prepared: Any, samples: Sequence[Any]
    ) -> None:
        await prepared.insert(samples[0])
        with pytest.raises(DuplicateRecordError):
            await prepared.insert(_under(self, samples[1], samples[0]))
        assert await prepared.get(self.key_of(samples[0])) == samples[0]

    async def test_of_many_inserts_at_once_one_succeeds(
        self, prepared: Any, samples: Sequence[Any]
    ) -> None:
        answers = await together(prepared.insert(samples[0]) for _ in range(SAVERS))
        assert answers.count(None) == 1
        assert {type(each) for each in answers if each is not None} == {DuplicateRecordError}

    async def test_deleting_tells_whether_there_was_something_to_delete(
        self, prepared: Any, samples: Sequence[Any]
    ) -> None:
        await prepared.save_many(samples)
        first, *others = [self.key_of(record) for record in samples]
        assert await prepared.delete(first) is True
        assert await prepared.delete(first) is False
        assert await prepared.delete_many([first, *others]) == len(others)
        assert await self.everything(prepared) == ()


class VersionedConformance(KeyedConformance):
    """What `VersionedRepository` promises."""

    def choose(self) -> Sequence[Any]:
        """Take version 1 of each record."""
        return [record.model_copy(update={"version": 1}) for record in super().choose()]

    async def overwrite(self, repository: Any, record: Any) -> None:
        """Save a record as the version after the stored one."""
        stored = await repository.get(self.key_of(record))
        version = 1 if stored is None else stored.version + 1
        await repository.save(record.model_copy(update={"version": version}))

    async def test_saving_again_replaces_every_field_that_is_not_kept(
        self, prepared: Any, samples: Sequence[Any]
    ) -> None:
        await self.overwrite(prepared, samples[0])
        await self.overwrite(prepared, _under(self, samples[1], samples[0]))
        kept = {name: getattr(samples[0], name) for name in self.repository.kept}
        expected = _under(self, samples[1], samples[0]).model_copy(update={**kept, "version": 2})
        assert await prepared.get(self.key_of(samples[0])) == expected

    async def test_a_version_is_saved_over_the_one_before_it_alone(
        self, prepared: Any, samples: Sequence[Any]
    ) -> None:
        first = samples[0]
        await prepared.save(first)
        with pytest.raises(DuplicateRecordError):
            await prepared.save(first)
        for version in (3, 4):
            with pytest.raises(VersionConflictError):
                await prepared.save(first.model_copy(update={"version": version}))
        with pytest.raises(VersionConflictError):
            await prepared.save(samples[1].model_copy(update={"version": 2}))
        assert await prepared.get(self.key_of(first)) == first

    async def test_of_many_savers_of_the_next_version_one_succeeds(
        self, prepared: Any, samples: Sequence[Any]
    ) -> None:
        await prepared.save(samples[0])
        following = samples[0].model_copy(update={"version": 2})
        answers = await together(prepared.save(following) for _ in range(SAVERS))
        assert answers.count(None) == 1
        assert all(isinstance(each, PersistenceError) for each in answers if each is not None)


class AccumulatingConformance(KeyedConformance):
    """What `AccumulatingRepository` promises."""

    async def test_what_is_added_at_once_is_added_up(
        self, prepared: Any, samples: Sequence[Any]
    ) -> None:
        one = samples[0].model_copy(update=dict.fromkeys(self.repository.added, 1))
        await asyncio.gather(*[prepared.add(one) for _ in range(SAVERS)])
        expected = one.model_copy(update=dict.fromkeys(self.repository.added, SAVERS))
        assert await prepared.get(self.key_of(one)) == expected


def _fields(record: Any) -> list[str]:
    return list(type(record).model_fields)


def _under(tests: ListedConformance, record: Any, other: Any) -> Any:
    """Give a record the key of another."""
    key = [column.name for column in record_key(tests.repository.table)]
    return record.model_copy(update={name: getattr(other, name) for name in key})


def _drawn(strategy: SearchStrategy[Any], tests: ListedConformance) -> list[Any]:
    several = st.lists(strategy, min_size=3, max_size=5, unique_by=tests.key_of)
    drawn: list[list[Any]] = []

    @settings(max_examples=12, database=None, derandomize=True, deadline=None)
    @given(several)
    def draw(chosen: list[Any]) -> None:
        drawn.append(chosen)

    draw()
    return drawn[-1]

"""What a test has to know about one kind of record to save it and to read it back."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Final
from uuid import UUID, uuid4, uuid5

from hypothesis.strategies import SearchStrategy

from synthorg.entities import Message
from synthorg.persistence.protocol import PersistenceBackend
from synthorg.persistence.testing.strategies import STORED_ENTITIES
from synthorg.persistence.transactions import Stores

Backend = PersistenceBackend | Stores
"""Where the repositories are: on a backend, or in a unit of work."""

Act = Callable[[Backend, Any], Awaitable[Any]]
"""Something done with a record on a backend."""

_NAMESPACE: Final = UUID("5e4f3a52-7b52-4c3e-9d0a-0a8f5d1c7a11")
_numbers = count()


@dataclass(frozen=True, eq=False, repr=False)
class Kind:
    """One kind of record and its repository.

    Args:
        repository: The name of its repository on the backend, which messages name, too.
        example: A record with no field at its default.
        changes: Another value for every field outside the key.
        given: All the records there may be, where the type of the example does not say.
        gets: The ways to read one back by its key.
        lists: The lists to find one in.
        key: The fields that tell one from another.
        unique: Other fields by which one is found, so that no two records share a value.
        kept: Fields that saving again does not change.
        prepare: Saves what the record refers to.
        save_with: Saves the record, where it is not the repository's `save`.
        delete: Deletes the record and tells whether there was one.
        append_only: Whether a stored record never changes.
        versioned: Whether a version is saved over the one before it alone.
    """

    repository: str
    example: Any
    changes: Mapping[str, object]
    given: SearchStrategy[Any] | None = None
    gets: Sequence[Act] = ()
    lists: Sequence[Act] = ()
    key: Sequence[str] = ("id",)
    unique: Sequence[str] = ()
    kept: Sequence[str] = ()
    prepare: Act | None = None
    save_with: Act | None = None
    delete: Act | None = None
    append_only: bool = False
    versioned: bool = False

    def __repr__(self) -> str:
        return self.repository

    @property
    def strategy(self) -> SearchStrategy[Any]:
        """All the records there may be."""
        return STORED_ENTITIES[type(self.example)] if self.given is None else self.given

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of all fields."""
        record = type(self.example)
        return tuple(getattr(record, "_fields", None) or record.model_fields)

    def make(self, **changes: object) -> Any:
        """Make a valid record like the example, but for some fields."""
        return self.altered(self.example, **changes)

    def altered(self, record: Any, **changes: object) -> Any:
        """Make a valid record like another, but for some fields."""
        if isinstance(record, tuple):
            values: list[Any] = [changes.get(name, getattr(record, name)) for name in self.fields]
            return type(record)(*values)
        return type(record).model_validate({**dict(record), **changes})

    def forged(self, record: Any, **changes: object) -> Any:
        """Make a record like another that nobody has validated."""
        if isinstance(record, tuple):
            return self.altered(record, **changes)
        return record.model_copy(update=changes)

    def keyed(self, text: str) -> Any:
        """Make a record like the example under a key of its own, the same for the same text."""
        return self.make(**dict.fromkeys(self.unique, text), **{self.key[-1]: self.key_for(text)})

    def key_for(self, text: str) -> str | UUID:
        """Make a key from a text, which is the text wherever a key may be any text."""
        return uuid5(_NAMESPACE, text) if isinstance(self.example, Message) else text

    def fresh(self, record: Any) -> Any:
        """Make a record like another that collides with none stored so far."""
        values: dict[str, object] = {}
        for name in (*self.key, *self.unique):
            value = getattr(record, name)
            if isinstance(value, UUID):
                values[name] = uuid4()
            else:
                suffix = f"-{next(_numbers)}"
                values[name] = value[: 255 - len(suffix)] + suffix
        return self.altered(record, **values)

    def identity(self, record: Any) -> tuple[object, ...]:
        """Give the key of a record."""
        return tuple(getattr(record, name) for name in self.key)

    async def save(self, backend: Backend, record: Any) -> None:
        """Save a record."""
        if self.save_with is None:
            await getattr(backend, self.repository).save(record)
        else:
            await self.save_with(backend, record)

    async def store(self, backend: Backend, *records: Any) -> None:
        """Save records, and before each what it refers to."""
        for record in records:
            if self.prepare is not None:
                await self.prepare(backend, record)
            await self.save(backend, record)

    async def copies(self, backend: Backend, record: Any) -> list[Any]:
        """Read back, in every way there is, what is stored under the key of a record."""
        copies = [await get(backend, record) for get in self.gets]
        for list_ in self.lists:
            listed: Iterable[Any] = await list_(backend, record)
            copies += [copy for copy in listed if self.identity(copy) == self.identity(record)]
        return [copy for copy in copies if copy is not None]

    async def stored(self, backend: Backend, record: Any) -> Any:
        """Read back what is stored under the key of a record, which every way must agree on."""
        copies = await self.copies(backend, record)
        if not copies:
            return None
        assert len(copies) == len(self.gets) + len(self.lists)
        assert all(copy == copies[0] for copy in copies)
        return copies[0]

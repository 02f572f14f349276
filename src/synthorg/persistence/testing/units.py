"""What tests of units of work share: units in place of backends, and mishaps."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import cast

from synthorg.persistence.protocol import PersistenceBackend
from synthorg.persistence.transactions import Stores, TransactionalBackend, UnitOfWork


class Mishap(Exception):  # noqa: N818 (it is no error)
    """Something that goes wrong in a unit of work."""


@asynccontextmanager
async def rolled_back(stores: TransactionalBackend | UnitOfWork) -> AsyncIterator[UnitOfWork]:
    """Begin a unit of work, or a part of one, at the end of which a mishap happens."""
    with suppress(Mishap):
        async with stores.transaction() as unit:
            yield unit
            raise Mishap
        raise AssertionError("the mishap did not come out")


def repositories(stores: Stores) -> PersistenceBackend:
    """Pass a unit of work for a backend, to what asks it for its repositories alone."""
    return cast("PersistenceBackend", stores)

"""What a backend may leave out, and which tests need it."""

from typing import Final

import pytest

from synthorg.persistence.protocol import ReportingBackend
from synthorg.persistence.transactions import ManagedBackend, Stores, TransactionalBackend

CAPABILITIES: Final[dict[type, str]] = {
    Stores: "bulk writes, pages, streams and totals",
    TransactionalBackend: "units of work",
    ReportingBackend: "a report of its health",
    ManagedBackend: "repositories before connect(), extensions and `async with`",
}
"""The protocols beyond `PersistenceBackend`, and what each adds."""


def needs(protocol: type) -> pytest.MarkDecorator:
    """Skip a test for a backend that leaves a protocol out.

    Args:
        protocol: One of `CAPABILITIES`.
    """
    mark: pytest.MarkDecorator = getattr(pytest.mark, "needs")  # noqa: B009 (a mark of our own)
    return mark.with_args(protocol)

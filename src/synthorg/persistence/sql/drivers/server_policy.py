"""What the fast route of servers has to know of the server; a dialect knows it."""

from typing import Protocol

from synthorg.persistence.sql.drivers.faults import Diagnosis
from synthorg.persistence.sql.drivers.openings import Openings


class ServerPolicy(Protocol):
    """How a kind of server, and its driver, want to be treated."""

    @property
    def driver_errors(self) -> tuple[type[Exception], ...]:
        """What the driver raises."""
        ...

    @property
    def failure_ends_transaction(self) -> bool:
        """Whether a statement that fails leaves a transaction in which no other can succeed."""
        ...

    @property
    def answer_timeout_seconds(self) -> float | None:
        """How long to wait for the answer to one statement; None for any time."""
        ...

    @property
    def openings(self) -> Openings:
        """Opens its connections."""
        ...

    @property
    def fit_since(self) -> float:
        """By the monotonic clock: when connections must have been opened to be used again."""
        ...

    def diagnose(self, error: BaseException) -> Diagnosis:
        """Tell what an error means.

        Args:
            error: What the driver or SQLAlchemy raised.
        """
        ...

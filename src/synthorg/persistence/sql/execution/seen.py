"""What the callers of a database have written or seen, as far as they count on seeing it again."""

from sqlalchemy import Connection


class Seen:
    """Counts what changes the state that callers count on.

    Who counts on it has to find the position of the primary later than the last count.
    """

    def __init__(self) -> None:
        self._count = 0
        self._own: set[Connection] = set()
        """Those on which an application writes by its own SQL, and may commit at any time."""

    @property
    def count(self) -> int:
        """How much there was up to now."""
        if self._own:
            self._own = {each for each in self._own if not each.closed}
            self._count += 1
        return self._count

    def note(self) -> None:
        """Count a write that has ended, or a state that was seen."""
        self._count += 1

    def note_own_sql(self, connection: Connection) -> None:
        """Count all that is done on a connection, whenever it is committed.

        Args:
            connection: The connection of an application.
        """
        self._own = {each for each in self._own if not each.closed} | {connection}
        self._count += 1

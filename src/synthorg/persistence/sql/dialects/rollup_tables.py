"""The tables of roll-ups, each of which has the project of its task as long as that is there.

So sums by project look up no task, but for roll-ups of tasks that are not there. A task that moves
to another project, or is deleted, takes its roll-ups along by a trigger. It waits for whoever rolls
costs up at that moment, and has read where the task belonged, by a share of the lock on the state.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class RollupTables:
    """The names of the tables in a database.

    Attributes:
        prefix: What the names of this library's tables begin with.
    """

    prefix: str = ""

    @property
    def tasks(self) -> str:
        """The tasks."""
        return f"{self.prefix}tasks"

    @property
    def rollups(self) -> str:
        """The sums of costs by day."""
        return f"{self.prefix}cost_rollups"

    @property
    def state(self) -> str:
        """The one row that says which costs are in them, and is locked while they change."""
        return f"{self.prefix}cost_rollup_state"

    @property
    def move(self) -> str:
        """The trigger that has roll-ups go along with a task into its new project."""
        return f"{self.tasks}_move_rollups"

    @property
    def leave(self) -> str:
        """The trigger that has roll-ups remember the project of a task that is deleted."""
        return f"{self.tasks}_leave_rollups"

    def no_state(self, earliest: str) -> str:
        """Write the beginning of the statement for a state of nothing, so that it can be locked.

        Args:
            earliest: The earliest moment, as a literal.
        """
        return (
            f"INTO {self.state} (id, revision, rolled_up_before, last_sequence_number, "
            f"pruned_before) VALUES (1, 0, {earliest}, 0, {earliest})"
        )

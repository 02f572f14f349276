"""Which records are kept for how long, and removing the others."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from datetime import timedelta
from getpass import getuser
from pathlib import Path
from socket import gethostname
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from synthorg.persistence.errors import UsageError
from synthorg.persistence.protocol import PersistenceBackend
from synthorg.persistence.sql.backend import SQLPersistenceBackend
from synthorg.persistence.sql.owned_tables import OwnedTables
from synthorg.persistence.sql.pruning.compaction import compact as compact_tables
from synthorg.persistence.sql.pruning.kinds import PRUNABLE, kind_of
from synthorg.persistence.sql.pruning.pruning import Progress, PrunedKind, Rule
from synthorg.persistence.sql.pruning.pruning import prune as prune_database
from synthorg.persistence.sql.repositories.audit_removals import AuditRemoval, list_removals
from synthorg.persistence.sql.repositories.records import complaints

__all__ = [
    "AuditRemoval",
    "Keep",
    "Progress",
    "PruneReport",
    "PrunedKind",
    "RetentionPolicy",
    "audit_removals",
    "prune",
]

_UNITS: Final[Mapping[str, str]] = {
    "s": "seconds",
    "m": "minutes",
    "h": "hours",
    "d": "days",
    "w": "weeks",
}
_SPAN: Final = re.compile(r"(\d+)\s*([smhdw])")


def read_span(text: object) -> object:
    """Read a span of time such as "90d", "12h" or "2w"; all else is left to Pydantic.

    Args:
        text: The span.
    """
    match = _SPAN.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        return text
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


Span = Annotated[timedelta, BeforeValidator(read_span), Field(ge=timedelta(0))]


class Keep(BaseModel):
    """Which records of a kind are kept: either of so long, or so many.

    Attributes:
        max_age: For how long, by the kind's own time; as text, "90d", "12h" or ISO 8601.
        newest: How many of the newest.
        time: The column of the time, for a table of an extension.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_age: Span | None = None
    newest: Annotated[int, Field(ge=0)] | None = None
    time: str | None = None

    @model_validator(mode="after")
    def _refuse_both_or_none(self) -> Self:
        if (self.max_age is None) == (self.newest is None):
            raise ValueError("give either max_age or newest")
        return self


class RetentionPolicy(BaseModel):
    """What is kept of each kind of records; kinds that are not named are kept for ever.

    Attributes:
        rules: By the name of the kind's table.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rules: Mapping[str, Keep]

    @classmethod
    def from_toml(cls, path: str | Path) -> Self:
        """Read a policy from a file, with a table for each kind.

        Args:
            path: The file, in TOML.

        Raises:
            UsageError: If it cannot be read, or says what no policy says.
        """
        try:
            found: dict[str, Any] = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise UsageError(f"cannot read the policy {path}: {error}") from None
        return cls.of(found, f"the policy {path}")

    @classmethod
    def of(cls, rules: Mapping[str, Any], source: str = "the policy") -> Self:
        """Make a policy of what a file or a command says.

        Args:
            rules: By the name of each kind, the fields of a `Keep`.
            source: Where it is from, for messages.

        Raises:
            UsageError: If a kind or a field is wrong, which is named.
        """
        made = {}
        for name, fields in rules.items():
            try:
                made[name] = Keep.model_validate(fields)
            except ValidationError as error:
                raise UsageError(f"{source} is wrong about {name}: {complaints(error)}") from None
        return cls(rules=made)


class PruneReport(BaseModel):
    """What was removed, and what remains that the policy does not keep."""

    model_config = ConfigDict(frozen=True)

    kinds: tuple[PrunedKind, ...]

    @property
    def removed(self) -> int:
        """How many records were removed."""
        return sum(each.removed for each in self.kinds)

    @property
    def remaining(self) -> int:
        """How many are left that the policy does not keep."""
        return sum(each.remaining for each in self.kinds)


async def prune(  # noqa: PLR0913 (each is a choice of whoever prunes)
    backend: PersistenceBackend,
    policy: RetentionPolicy,
    *,
    budget: timedelta | None = None,
    dry_run: bool = False,
    everything: bool = False,
    archive: str | Path | None = None,
    removed_by: str | None = None,
    compact: bool = False,
    progress: Progress | None = None,
) -> PruneReport:
    """Remove the records that a policy does not keep.

    They are removed in transactions of some milliseconds, with pauses in between. Any number of
    processes may do so at once. A call that is cancelled, killed or out of time has removed
    whole batches; the next one goes on. The costs that are removed go on counting in every
    sum over whole days.

    Args:
        backend: A backend of this library, which is connected.
        policy: What is kept.
        budget: How long it may take; without it, as long as it takes.
        dry_run: Whether to count alone what would be removed.
        everything: Whether a policy may remove all records of a kind.
        archive: A folder. Each batch of records is written into a file there as compressed JSON
            Lines, which is read back and durable before any of them is removed. Who is killed in
            between leaves nothing removed without an archive, and the next call leaves
            nothing archived twice. The folder is for one database. Entries of the audit trail
            are removed with an archive alone, and each removal is recorded.
        removed_by: Who is recorded to have removed entries of the audit trail; without it, the
            user of the operating system and the host.
        compact: Whether to give the space of removed records back in the end: by VACUUM on SQLite,
            for which nobody else should write, by VACUUM (ANALYZE) on PostgreSQL and by
            OPTIMIZE TABLE on MySQL and MariaDB.
        progress: Who is told how many records of which kind are removed, and of how many.

    Returns:
        What was removed of each kind, and what remains.

    Raises:
        NotConnectedError: If the backend is not connected.
        QueryError: If the database refuses to remove a record, as one that others refer to; or
            if there is no room to compact it, or the archive cannot be written.
        UsageError: If it is a backend of another kind, if a kind cannot be pruned, or if all
            records of one would be removed and may not.
    """
    if not isinstance(backend, SQLPersistenceBackend):
        raise UsageError(f"cannot prune a {type(backend).__name__}")
    database = backend.database_for("prune()")
    rules = _rules(policy, backend.extensions)
    async with backend.observed("maintenance", "prune"):
        found = await prune_database(
            database,
            rules,
            budget=budget,
            dry_run=dry_run,
            everything=everything,
            archive=None if archive is None else Path(archive),
            removed_by=removed_by or f"{getuser()}@{gethostname()}",
            progress=progress,
        )
        if compact and not dry_run:
            await compact_tables(database.dialect, [rule.kind.table for rule in rules])
    return PruneReport(kinds=found)


async def audit_removals(backend: PersistenceBackend) -> tuple[AuditRemoval, ...]:
    """List what `prune()` has removed from the audit trail, the oldest removal first.

    Args:
        backend: A backend of this library, which is connected.

    Returns:
        The removals: by whom, of which range, how many entries, and their digest in the archive.

    Raises:
        NotConnectedError: If the backend is not connected.
        UsageError: If it is a backend of another kind.
    """
    if not isinstance(backend, SQLPersistenceBackend):
        raise UsageError(f"cannot read the removals of a {type(backend).__name__}")
    return await list_removals(backend.database_for("audit_removals()"))


def _rules(policy: RetentionPolicy, extensions: Sequence[OwnedTables]) -> list[Rule]:
    """Find what is known of each kind of a policy, in the order in which they are pruned."""
    rules = []
    places = [*PRUNABLE]
    for name in sorted(policy.rules, key=lambda name: _place(name, places)):
        keep = policy.rules[name]
        kind = kind_of(name, keep.time, extensions)
        if keep.newest is not None and kind.time is None:
            raise UsageError(f"cannot keep the newest {name}: they have no time; give max_age")
        rules.append(Rule(kind, keep.max_age, keep.newest))
    return rules


def _place(name: str, places: Sequence[str]) -> int:
    return places.index(name) if name in places else -1

"""What an export says of itself: which records it has, in which files, and their digests."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import file_digest
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from synthorg.persistence.errors import MigrationError, QueryError, UsageError
from synthorg.persistence.sql.migrations.revisions import known_revisions
from synthorg.persistence.sql.owned_tables import OwnedTables

FileFormat = Literal["jsonl", "parquet", "csv"]

NAME: Final = "manifest.json"


def _name_alone(name: str) -> str:
    if Path(name).name != name:
        raise ValueError("must be a name without a folder")
    return name


class ExportedKind(BaseModel):
    """The records of one kind in an export.

    Attributes:
        file: The name of their file.
        rows: How many they are.
        skipped: How many were left out, since they do not fit their entity.
        sha256: The digest of the file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: Annotated[str, AfterValidator(_name_alone)]
    rows: int
    skipped: int
    sha256: str


class Manifest(BaseModel):
    """What an export says of itself.

    Nothing in it tells when or where it was made, so that equal records make equal exports.

    Attributes:
        export: The version of this layout.
        format: The format of the files.
        revisions: The revision of the tables of each owner, by the table that has their version.
        since: The beginning of the span of time that the records with a time of their own are of.
        until: Its end.
        kinds: By table: its records, each after those that they refer to.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    export: Literal[1] = 1
    format: FileFormat
    revisions: Mapping[str, str]
    since: datetime | None = None
    until: datetime | None = None
    kinds: Mapping[str, ExportedKind]

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """Read the manifest of an export.

        Args:
            folder: The export.

        Raises:
            UsageError: If there is none.
            QueryError: If it is damaged.
        """
        path = folder / NAME
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise UsageError(f"{folder} is no export: {path}: {error.strerror}") from None
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise QueryError(f"{path} is damaged: {where or 'it'}: {first['msg']}") from None

    def write(self, folder: Path) -> None:
        """Write it into the folder of the export.

        Args:
            folder: The export.
        """
        (folder / NAME).write_text(self.model_dump_json(indent=2) + "\n")

    def refuse_other_schema(self, every: Sequence[OwnedTables]) -> None:
        """Refuse an export of other tables than those of this release.

        Args:
            every: The tables of each owner.

        Raises:
            MigrationError: If it was made at another revision, or by somebody unknown.
            QueryError: If it does not say at which.
        """
        known = {owned.version_table: owned for owned in every}
        for version_table, revision in self.revisions.items():
            owned = known.get(version_table)
            if owned is None:
                raise MigrationError(
                    f"cannot import records of tables with their version in {version_table}, "
                    "which are not known here; name them as an extension"
                )
            known.pop(version_table)
            head = known_revisions(owned).get_current_head()
            if revision != head:
                raise MigrationError(
                    f"cannot import records of {owned.owner} at revision {revision}, for this "
                    f"release has {head}; import them with the release that has exported them, and "
                    "migrate the database"
                )

        unsaid = {table for owned in known.values() for table in owned.tables} & set(self.kinds)
        if unsaid:
            raise QueryError(f"the manifest does not say at which revision {min(unsaid)} was")

    def refuse_damage(self, folder: Path) -> None:
        """Refuse files that are not what was exported.

        Args:
            folder: The export.

        Raises:
            QueryError: If one is missing, cut short or another one.
        """
        for kind in self.kinds.values():
            path = folder / kind.file
            if digest_of_file(path) != kind.sha256:
                raise QueryError(
                    f"cannot import {path}: it is not the file that was exported (its digest is "
                    "another one than in the manifest); nothing was imported"
                )


def digest_of_file(path: Path) -> str:
    """Work out the SHA-256 of a file.

    Args:
        path: The file.

    Raises:
        QueryError: If it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise QueryError(f"cannot read {path}: {error.strerror}") from None

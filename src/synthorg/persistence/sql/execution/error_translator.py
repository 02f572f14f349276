"""What an error of SQLAlchemy or of a driver means, and whether the schema is to blame for it."""

from collections.abc import Awaitable, Callable

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from synthorg.persistence.errors import (
    MigrationError,
    PersistenceError,
)
from synthorg.persistence.sql.dialects.base import Dialect
from synthorg.persistence.sql.drivers.base import NotWritten
from synthorg.persistence.sql.drivers.faults import Diagnosis, Fault
from synthorg.persistence.sql.execution.failures import connection_failure

FindSchemaProblem = Callable[[AsyncConnection, Dialect], Awaitable[str | None]]


class ErrorTranslator:
    """Diagnoses the errors of one database.

    Args:
        dialect: The kind of database.
        find_schema_problem: Tells what is wrong with the schema, if anything, when a statement
            did not fit it.
    """

    def __init__(self, dialect: Dialect, find_schema_problem: FindSchemaProblem) -> None:
        self._dialect = dialect
        self._find_schema_problem = find_schema_problem
        # OSError leaves some drivers when a server is unreachable; the next two leave SQLite's.
        self.foreign_errors: tuple[type[Exception], ...] = (
            SQLAlchemyError,
            OSError,
            OverflowError,
            UnicodeError,
            NotWritten,
            *dialect.driver_errors,
        )

    def diagnose(self, error: Exception) -> Diagnosis:
        """Tell what an error means, and see to it that a server is left that takes no writes.

        Args:
            error: One of the foreign errors.
        """
        diagnosis = self._dialect.diagnose(error)
        if diagnosis.is_demotion:
            self._dialect.give_up_connections()
        return diagnosis

    async def find_schema_problem(self, connection: AsyncConnection) -> str | None:
        """Say what is wrong with the schema, or None when it is this version's.

        Args:
            connection: A connection with no transaction begun.
        """
        return await self._find_schema_problem(connection, self._dialect)

    async def schema_error(
        self, connection: AsyncConnection, otherwise: PersistenceError
    ) -> PersistenceError:
        """Find out whether a statement failed because the schema is not this version's.

        Args:
            connection: A connection with no transaction begun.
            otherwise: The error if it is.
        """
        failed = str(otherwise).partition(": ")[0]
        try:
            problem = await self.find_schema_problem(connection)
        except self.foreign_errors as error:
            diagnosis = self.diagnose(error)
            if diagnosis.fault is Fault.CONNECTION:
                return connection_failure(diagnosis, failed)
            return otherwise
        return otherwise if problem is None else MigrationError(f"{failed}: {problem}")

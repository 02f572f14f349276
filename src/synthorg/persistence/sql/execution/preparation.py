"""Statements made ready for one database: their expressions, their values, their errors."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final

from sqlalchemy import Dialect as SQLAlchemyDialect
from sqlalchemy import Executable
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from synthorg.persistence.errors import (
    MigrationError,
    PersistenceConnectionError,
    PersistenceError,
    QueryError,
)
from synthorg.persistence.sql.dialects.base import Dialect
from synthorg.persistence.sql.drivers.base import NotWritten
from synthorg.persistence.sql.drivers.faults import Diagnosis, Fault
from synthorg.persistence.sql.statements.prepared import PreparedStatement, prepare
from synthorg.persistence.sql.statements.statement import Parameters, Statement

STATEMENT_BYTES: Final = 16 * 1024  # ample for the text of a statement around its values
WIDEST_CHARACTER: Final = 8  # bytes: four in UTF-8, or two for an escaped one
ESCAPED: Final = ("\x1a", "\n", "\r", '"', "'", "\\")  # sent with a backslash before them

FindSchemaProblem = Callable[[AsyncConnection, Dialect], Awaitable[str | None]]


class Preparation:
    """What one database needs to know of each statement, found out once.

    Args:
        dialect: The kind of database.
        driver_dialect: SQLAlchemy's own for the driver.
        find_schema_problem: Tells what is wrong with the schema, if anything, when a statement
            did not fit it.
    """

    def __init__(
        self,
        dialect: Dialect,
        driver_dialect: SQLAlchemyDialect,
        find_schema_problem: FindSchemaProblem,
    ) -> None:
        self.dialect = dialect
        self._driver_dialect = driver_dialect
        # OSError leaves some drivers when a server is unreachable; the next two leave SQLite's.
        self.foreign_errors: tuple[type[Exception], ...] = (
            SQLAlchemyError,
            OSError,
            OverflowError,
            UnicodeError,
            NotWritten,
            *dialect.driver_errors,
        )
        self._find_schema_problem = find_schema_problem
        self._expressions: dict[Statement, Executable] = {}
        self._prepared: dict[Statement, PreparedStatement] = {}

    def diagnose(self, error: Exception) -> Diagnosis:
        """Tell what an error means, and see to it that a server is left that takes no writes.

        Args:
            error: One of the foreign errors.
        """
        diagnosis = self.dialect.diagnose(error)
        if diagnosis.is_demotion:
            self.dialect.give_up_connections()
        return diagnosis

    def expression(self, statement: Statement) -> Executable:
        """Give the expression of a statement, the same object every time.

        Args:
            statement: The statement.
        """
        expression = self._expressions.get(statement)
        if expression is None:
            expression = self._expressions[statement] = statement.build(self.dialect)
        return expression

    def values(self, statement: Statement, parameters: Parameters) -> Parameters:
        """Check and convert the values of one execution.

        Args:
            statement: The statement.
            parameters: A value for each of its parameters.

        Returns:
            What to bind.

        Raises:
            QueryError: If the database could not hold a value exactly, or accept it at all.
        """
        values = statement.coerce(parameters)
        if self.dialect.largest_payload is not None:
            self._refuse_oversized(statement, values.values(), parameters)
        return values

    def prepared(self, statement: Statement) -> PreparedStatement:
        """Give the prepared form of a statement, compiled when first asked for.

        Args:
            statement: The statement.
        """
        prepared = self._prepared.get(statement)
        if prepared is None:
            expression = self.expression(statement)
            prepared = prepare(statement, expression, self._driver_dialect, self.prepared)
            self._prepared[statement] = prepared
        return prepared

    def bound(self, prepared: PreparedStatement, parameters: Parameters) -> Sequence[Any]:
        """Check and convert the values of one execution of a prepared statement.

        Args:
            prepared: The statement.
            parameters: A value for each of its parameters.

        Returns:
            The values by position.

        Raises:
            QueryError: If the database could not hold a value exactly, or accept it at all.
        """
        values = prepared.bind(parameters)
        if self.dialect.largest_payload is not None:
            self._refuse_oversized(prepared.statement, values, parameters)
        return values

    async def find_schema_problem(self, connection: AsyncConnection) -> str | None:
        """Say what is wrong with the schema, or None when it is this version's.

        Args:
            connection: A connection with no transaction begun.
        """
        return await self._find_schema_problem(connection, self.dialect)

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
                return PersistenceConnectionError(f"{failed}: {diagnosis.reason}")
            return otherwise
        return otherwise if problem is None else MigrationError(f"{failed}: {problem}")

    def _refuse_oversized(
        self, statement: Statement, values: Iterable[object], parameters: Parameters
    ) -> None:
        """Refuse before sending what would make the server drop the connection."""
        limit = self.dialect.largest_payload
        texts = [value for value in values if isinstance(value, str)]
        if limit is None or sum(map(len, texts)) * WIDEST_CHARACTER + STATEMENT_BYTES < limit:
            return
        size = sum(len(value.encode()) + sum(map(value.count, ESCAPED)) for value in texts)
        if size + STATEMENT_BYTES >= limit:
            raise QueryError(
                f"cannot {statement.action} {statement.subject(parameters)}: its values take "
                f"{size} bytes, and the server accepts {limit} in one statement "
                "(max_allowed_packet)"
            )

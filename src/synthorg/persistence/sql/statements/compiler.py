"""What one database makes of each statement: its expression, its SQL, its values."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Final

from sqlalchemy import Dialect as SQLAlchemyDialect
from sqlalchemy import Executable

from synthorg.persistence.errors import InvalidArgumentError
from synthorg.persistence.sql.dialects.base import Dialect
from synthorg.persistence.sql.drivers.base import Call, Executions
from synthorg.persistence.sql.statements.prepared_statement import PreparedStatement
from synthorg.persistence.sql.statements.statement import Parameters, Statement

STATEMENT_BYTES: Final = 16 * 1024  # ample for the text of a statement around its values
WIDEST_CHARACTER: Final = 8  # bytes: four in UTF-8, or two for an escaped one
ESCAPED: Final = ("\x1a", "\n", "\r", '"', "'", "\\")  # sent with a backslash before them


class StatementCompiler:
    """Compiles each statement once for one database, and checks the values of each execution.

    Args:
        dialect: The kind of database.
        driver_dialect: SQLAlchemy's own for the driver.
    """

    def __init__(self, dialect: Dialect, driver_dialect: SQLAlchemyDialect) -> None:
        self._dialect = dialect
        self._driver_dialect = driver_dialect
        self._expressions: dict[Statement, Executable] = {}
        self._prepared: dict[Statement, PreparedStatement] = {}

    def expression(self, statement: Statement) -> Executable:
        """Give the expression of a statement, the same object every time.

        Args:
            statement: The statement.
        """
        expression = self._expressions.get(statement)
        if expression is None:
            expression = self._expressions[statement] = statement.build(self._dialect)
        return expression

    def values(self, statement: Statement, parameters: Parameters) -> Parameters:
        """Check and convert the values of one execution through SQLAlchemy.

        Args:
            statement: The statement.
            parameters: A value for each of its parameters.

        Returns:
            What to bind.

        Raises:
            InvalidArgumentError: If the database could not hold a value exactly, or accept it at
                all.
        """
        values = statement.coerce(parameters)
        if self._dialect.largest_payload is not None:
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
            prepared = PreparedStatement(statement, expression, self._driver_dialect, self.prepared)
            self._prepared[statement] = prepared
        return prepared

    def call(self, statement: Statement, parameters: Parameters) -> Call:
        """Make one execution of a prepared statement.

        Args:
            statement: The statement.
            parameters: A value for each of its parameters.

        Raises:
            InvalidArgumentError: If the database could not hold a value exactly, or accept it at
                all.
        """
        prepared = self.prepared(statement)
        return Call(prepared, self._bound(prepared, parameters))

    def batch(
        self, statement: Statement, parameters: Sequence[Parameters]
    ) -> tuple[PreparedStatement, Executions]:
        """Make many executions of a prepared statement.

        Args:
            statement: The statement.
            parameters: A value for each of its parameters, for each execution.

        Returns:
            The prepared statement, and the values by position for each execution; to take them
            raises what `call` does.
        """
        prepared = self.prepared(statement)

        def rows() -> Iterator[Sequence[Any]]:
            return map(partial(self._bound, prepared), parameters)

        return prepared, Executions(
            rows, partial(prepared.together, parameters), partial(prepared.bind_many, parameters)
        )

    def _bound(self, prepared: PreparedStatement, parameters: Parameters) -> Sequence[Any]:
        values = prepared.bind(parameters)
        if self._dialect.largest_payload is not None:
            self._refuse_oversized(prepared.statement, values, parameters)
        return values

    def _refuse_oversized(
        self, statement: Statement, values: Iterable[object], parameters: Parameters
    ) -> None:
        """Refuse before sending what would make the server drop the connection."""
        limit = self._dialect.largest_payload
        texts = [value for value in values if isinstance(value, str)]
        if limit is None or sum(map(len, texts)) * WIDEST_CHARACTER + STATEMENT_BYTES < limit:
            return
        size = sum(len(value.encode()) + sum(map(value.count, ESCAPED)) for value in texts)
        if size + STATEMENT_BYTES >= limit:
            subject = statement.subject(parameters, self._dialect.table_prefix)
            raise InvalidArgumentError(
                f"cannot {statement.action} {subject}: its values take {size} bytes, and the "
                f"server accepts {limit} in one statement (max_allowed_packet)"
            )

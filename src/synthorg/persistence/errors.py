"""The errors that leave this library: catch PersistenceError to catch them all."""

import inspect
from collections.abc import Mapping


class PersistenceError(Exception):
    """An operation on stored data failed.

    Without a message of its own, an error says the first line of its class's description.
    """

    def __init__(self, *args: object) -> None:
        description = inspect.getdoc(type(self))
        if not args and description is not None:
            args = (description.partition("\n")[0],)
        super().__init__(*args)


class PersistenceConnectionError(PersistenceError):
    """The database cannot be reached.

    Raised when a connection cannot be established, is refused or lost, when none becomes free
    in time, and when something is asked of a backend that is not connected.
    """


class TooManyConnectionsError(PersistenceConnectionError):
    """There is no connection to be had, since there are as many as are allowed.

    Raised when the server, the user, the database or a pooler allows no further connection, and
    when those that the backend has were in use for `pool_timeout_seconds`. Nothing was written, and
    the same call may succeed in a moment; the text says whose limit it is.
    """


class OutcomeUnknownError(PersistenceConnectionError):
    """The connection was lost before the answer came: the change may or may not be stored.

    Raised by writes that cannot be repeated safely, by the commit of a unit of work, and by other
    writes when the database stays away. Read what is stored before you write again. After any
    other PersistenceError, a write has written nothing; one that was cancelled, all or nothing.
    """


class UsageError(PersistenceError):
    """The program uses the library in a way that cannot work.

    Raised for a mistake in the calling code, such as a backend used in another event loop or
    after a fork, or a call that would wait for its own unit of work: trying again does not help.
    """


class NotConnectedError(UsageError, PersistenceConnectionError):
    """The backend is not connected: await connect() first.

    It is a PersistenceConnectionError as well, which is what a caller may have prepared for.
    """


class MigrationError(PersistenceError):
    """The database's schema is not the version that this library needs.

    Raised when a revision fails, when the schema was written by a newer release, and by any call
    whose statement did not fit a schema that is not this version's, such as that of a database
    that was never migrated; nothing was read or written then. The text says what to do.
    """


class RecordNotFoundError(PersistenceError):
    """The requested record does not exist.

    Raised by `ArtifactStorageBackend.retrieve` when no content is stored under the id; the
    repositories return None instead.
    """


class DuplicateRecordError(PersistenceError):
    """A record with the same unique key is already stored.

    Raised when an append-only record is saved again, and when a second unique key collides (a
    username, a key hash, the single ceo). What was stored before is untouched.
    """


class QueryError(PersistenceError):
    """A statement could not be carried out.

    Raised for whatever the database refuses, such as a reference to a record that does not exist,
    and by its kinds for what was given, for what is stored, and for what others do meanwhile.
    """


class InvalidArgumentError(QueryError):
    """What was given to a call can never be carried out; nothing was sent.

    Raised for an argument of a wrong type, such as None for a key; for a cursor of another list, a
    filter that no record could match, a `limit` below 1, or `until` before `since`; for text or a
    number that the database cannot hold, such as a key of more than 255 characters; and for a
    record that could not be read again. In a web service it is the client's mistake (400).
    """


class UnreadableRecordError(QueryError):
    """A stored record does not fit its kind, so that it cannot be read.

    Raised when a newer release, or somebody else, has written what this one does not know. Lists
    pass over such records where the configuration's `unreadable_records` is "skip".

    Attributes:
        table: The table that it is stored in.
        key: The values of its key, by column; empty for a sum or a count over many records.
        reason: What does not fit, by field, without values.
    """

    def __init__(
        self,
        *args: object,
        table: str = "",
        key: Mapping[str, object] | None = None,
        reason: str = "",
    ) -> None:
        super().__init__(*args)
        self.table = table
        self.key = {} if key is None else dict(key)
        self.reason = reason


class TransactionConflictError(QueryError):
    """The transaction met another one and was rolled back.

    Raised for deadlocks, serialization failures and locks that were held for too long, after
    single calls have been tried again: run the whole unit of work again, as `run_in_transaction`
    does.
    """


class VersionConflictError(QueryError):
    """The stored version is not the one that this save builds on.

    Raised when somebody else has saved a versioned entity in between: read it again, apply the
    change to what you find, and save that.
    """


class ArtifactTooLargeError(PersistenceError):
    """The content of an artifact exceeds the largest size allowed for one artifact."""


class ArtifactStorageFullError(PersistenceError):
    """There is no room left for the content of an artifact.

    Raised when storing it would exceed the storage's capacity, and when the disk is full.
    """

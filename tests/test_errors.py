import pickle

import pytest

from synthorg.persistence import errors, repositories
from synthorg.persistence.errors import (
    InvalidArgumentError,
    NotConnectedError,
    OutcomeUnknownError,
    PersistenceConnectionError,
    PersistenceError,
    QueryError,
    UnreadableRecordError,
    UsageError,
    VersionConflictError,
)

ALL = [
    error
    for error in vars(errors).values()
    if isinstance(error, type) and issubclass(error, PersistenceError)
]


@pytest.mark.parametrize("error", ALL)
def test_an_error_without_a_message_says_what_it_stands_for(error: type[PersistenceError]) -> None:
    assert error.__doc__ is not None
    assert str(error()) == error.__doc__.splitlines()[0]


@pytest.mark.parametrize("error", ALL)
def test_an_error_keeps_its_message_across_processes(error: type[PersistenceError]) -> None:
    copy = pickle.loads(pickle.dumps(error("cannot save task 't1'")))
    assert type(copy) is error
    assert str(copy) == "cannot save task 't1'"


def test_the_contract_of_repositories_names_each_error_that_leaves_one() -> None:
    of_artifacts = {
        errors.ArtifactStorageFullError,
        errors.ArtifactTooLargeError,
        errors.RecordNotFoundError,
    }
    contract = repositories.__doc__ or ""
    assert {error for error in ALL if error.__name__ not in contract} == of_artifacts


def test_a_version_conflict_is_caught_as_a_query_error() -> None:
    with pytest.raises(QueryError):
        raise VersionConflictError("version 3 of workflow definition 'w1' is stored")


def test_what_was_given_is_told_apart_from_what_is_stored() -> None:
    assert issubclass(InvalidArgumentError, QueryError)
    assert not issubclass(UnreadableRecordError, InvalidArgumentError)
    assert not issubclass(InvalidArgumentError, UnreadableRecordError)


def test_a_backend_that_is_not_connected_is_a_mistake_and_a_connection_error() -> None:
    assert issubclass(NotConnectedError, UsageError)
    assert issubclass(NotConnectedError, PersistenceConnectionError)


def test_a_mistake_of_the_program_is_no_connection_error() -> None:
    assert not issubclass(UsageError, PersistenceConnectionError)


def test_an_unknown_outcome_is_caught_as_a_connection_error() -> None:
    with pytest.raises(PersistenceConnectionError):
        raise OutcomeUnknownError

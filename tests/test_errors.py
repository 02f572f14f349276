import pickle

import pytest

from synthorg.persistence import errors
from synthorg.persistence.errors import PersistenceError, QueryError, VersionConflictError

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


def test_a_version_conflict_is_caught_as_a_query_error() -> None:
    with pytest.raises(QueryError):
        raise VersionConflictError("version 3 of workflow definition 'w1' is stored")

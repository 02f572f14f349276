"""A table that is derived from a model is the one that would be declared by hand."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field
from sqlalchemy import CheckConstraint, Column, MetaData, Table

from synthorg.persistence import UsageError
from synthorg.persistence.extension import Entity, Extension, Key, NotBlankStr
from synthorg.persistence.sql.model_tables import table_of
from synthorg.persistence.sql.repositories import Repositories
from synthorg.persistence.sql.tables import NAMING_CONVENTION

BUILT_IN = [
    provided._kind  # noqa: SLF001 (there is no other list of the classes)
    for provided in vars(Repositories).values()
    if hasattr(provided, "_kind") and issubclass(provided._kind.record, BaseModel)  # noqa: SLF001
]


LIMITED_BY_PATTERN = {"arguments_hash"}
"""The fields whose length follows from a pattern, which nobody derives."""


def described(column: Column[Any]) -> tuple[str, str, bool]:
    return column.name, repr(column.type), bool(column.nullable)


def limits(table: Table) -> set[str]:
    """Give the limits of single columns; others are the business of the table alone."""
    return {
        str(each.sqltext)
        for each in table.constraints
        if isinstance(each, CheckConstraint) and each.name in {f"{c.name}" for c in table.columns}
    }


@pytest.mark.parametrize("repository", BUILT_IN, ids=lambda kind: kind.__name__)
def test_the_models_of_this_library_lead_to_its_own_columns(repository: Any) -> None:
    model, declared = repository.record, repository.table
    key = [column.name for column in declared.primary_key]
    if not set(key) <= model.model_fields.keys():
        key = ["id"] if "id" in model.model_fields else [next(iter(model.model_fields))]
    short = [name for index in declared.indexes for name in index.columns.keys()]  # noqa: SIM118 (a collection of columns)
    named = [name for name in short if name in model.model_fields]

    derived = table_of(
        MetaData(naming_convention=NAMING_CONVENTION),
        declared.name,
        model,
        key=key,
        indexes=[(name,) for name in dict.fromkeys(named)],
    )

    names = model.model_fields.keys() - LIMITED_BY_PATTERN
    assert {described(derived.columns[name]) for name in names} == {
        described(declared.columns[name]) for name in names
    }


def model_with(**fields: Any) -> type[BaseModel]:
    return type(
        "Odd", (Entity,), {"__annotations__": {"id": Key, **fields}, "__module__": __name__}
    )


@pytest.mark.parametrize(
    ("annotation", "remedy"),
    [
        (bytes, "artifact storage"),
        (date, "UtcDatetime"),
        (timedelta, "number of seconds"),
        (Decimal, "smallest unit"),
        (tuple[str, ...] | None, "empty value"),
    ],
)
def test_a_field_for_which_there_is_no_column_is_refused_with_what_to_do(
    annotation: Any, remedy: str
) -> None:
    with pytest.raises(UsageError, match=rf"the field odd of Odd .*{remedy}"):
        table_of(MetaData(), "odd", model_with(odd=annotation), key=["id"])


def test_a_key_that_may_be_none_is_refused() -> None:
    with pytest.raises(UsageError, match="the field odd of Odd may be None"):
        table_of(MetaData(), "odd", model_with(odd=Key | None), key=["odd"])


def test_a_key_of_any_length_is_refused() -> None:
    with pytest.raises(UsageError, match="at most 255 characters long"):
        table_of(MetaData(), "odd", model_with(odd=NotBlankStr), key=["odd"])


def test_an_index_on_structure_is_refused() -> None:
    with pytest.raises(UsageError, match="stored as JSON, so it cannot be indexed"):
        table_of(MetaData(), "odd", model_with(odd=tuple[str, ...]), key=["id"], indexes=[("odd",)])


def test_an_index_on_no_field_is_refused() -> None:
    with pytest.raises(UsageError, match="Odd has no field even"):
        table_of(MetaData(), "odd", model_with(odd=int), key=["id"], indexes=[("even",)])


def test_limits_of_numbers_become_conditions() -> None:
    model = model_with(
        share=Annotated[float, Field(gt=0, le=1)], number=Annotated[int, Field(ge=3)]
    )

    table = table_of(MetaData(), "odd", model, key=["id"])

    assert limits(table) == {"share > 0 AND share <= 1", "number >= 3"}


@pytest.mark.parametrize("name", ["", "Capital", "1st", "with space", "x" * 41, None])
def test_an_extension_with_an_odd_name_is_refused(name: Any) -> None:
    with pytest.raises(UsageError, match="small letters"):
        Extension(name, migrations="tests.extensions.ledger:migrations")

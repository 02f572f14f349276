"""Expressions of databases mean the same in every spelling, and only then."""

import pytest

from synthorg.persistence.sql.migrations.conditions import meaning


@pytest.mark.parametrize(
    ("spelling", "same"),
    [
        ("max_retries >= 0", "`max_retries` >= 0"),
        ("budget >= 0", '("budget" >= (0)::double precision)'),
        ("a <> b", "((a)::text != (b)::character varying(255))"),
        ("a = 'x' OR b IS NULL", "`a` = _utf8mb4'x' or `b` is null"),
        ("a OR (b AND c)", "a or b and c"),
        ("a OR (b OR c)", "a or b or c"),
        ("(a IN ('x', 'y')) = (b IS NOT NULL)", "a in ('x','y') = (b is not null)"),
        (
            "a NOT IN ('x', 'y') OR b IS NOT NULL",
            "(a::text <> ALL (ARRAY['x'::character varying, 'y'::text]::text[])) OR b IS NOT NULL",
        ),
        ("a IN (0, 1)", "(a = ANY (ARRAY[0, 1]))"),
        (
            "CASE WHEN a <> 'x' THEN b END",
            "\nCASE WHEN ((a)::text <> 'x'::text) THEN b\n ELSE NULL::timestamp with time zone END",
        ),
        ("a > -1", "a > - 1"),
    ],
)
def test_spellings_of_one_expression_are_equal(spelling: str, same: str) -> None:
    assert meaning(spelling) == meaning(same)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a >= 0", "a >= -9"),
        ("a >= 0", "a > 0"),
        ("a >= 0", "b >= 0"),
        ("a >= 0", "a >= 0 OR a < 0"),
        ("a OR (b AND c)", "(a OR b) AND c"),
        ("a = 'x'", "a = 'X'"),
        ("a = 'it''s'", "a = 'it'"),
        ("a IN ('x', 'y')", "a IN ('x', 'y', 'z')"),
        ("a IN ('x')", "a NOT IN ('x')"),
        ("a IS NULL", "a IS NOT NULL"),
        ("a = ANY (ARRAY[0])", "a <> ANY (ARRAY[0])"),
        ("CASE WHEN a THEN 1 END", "CASE WHEN a THEN 1 ELSE 0 END"),
        ("a >= 0", "length(a) >= 0"),
        ("a >= 0", "a >= 0 COLLATE x"),
        ("a >= 0", "a >="),
    ],
)
def test_expressions_that_differ_are_not_equal(one: str, other: str) -> None:
    assert meaning(one) != meaning(other)

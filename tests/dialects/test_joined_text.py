"""Texts that are sent to PostgreSQL as one."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthorg.persistence.sql.dialects.joined_text import NOTHING, SEPARATOR, JoinedText

Texts = Sequence[str | None]


def taken_apart(joined: str) -> Texts:
    """Do what the server does: `string_to_array(joined, SEPARATOR, NOTHING)`."""
    texts = joined.split(SEPARATOR) if joined else []
    return [None if text == NOTHING else text for text in texts]


@given(st.lists(st.none() | st.text(st.sampled_from([SEPARATOR, NOTHING, "a", "é"])), min_size=1))
def test_texts_that_are_joined_come_apart_as_what_they_were(texts: Texts) -> None:
    joined = JoinedText().join(texts)
    assert joined is None or taken_apart(joined) == texts


@pytest.mark.parametrize("texts", [["a"], ["a", None, ""], [None], ["", ""], ["a\tb", "{}"]])
def test_texts_without_marks_are_joined(texts: Texts) -> None:
    joined = JoinedText().join(texts)
    assert joined is not None
    assert taken_apart(joined) == texts

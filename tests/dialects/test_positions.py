"""How far servers say they have come, and which of them has what another one had."""

import pytest

from synthorg.persistence.sql.dialects.positions import gtid_position, log_position


def test_a_standby_has_what_it_has_replayed() -> None:
    primary = log_position((False, "1/A0", "00000002", None, 7))
    before = log_position((True, "0/FFFFFFFF", None, 2, 7))
    there = log_position((True, "1/A0", None, 2, 7))
    assert primary is not None
    assert before is not None
    assert there is not None
    assert primary.takes_writes
    assert not there.takes_writes
    assert there.follows(primary)
    assert there.has_reached(primary)
    assert not before.has_reached(primary)


def test_a_standby_of_another_history_does_not_follow() -> None:
    primary = log_position((False, "0/A0", "0000001A", None, 7))
    other = log_position((True, "1/A0", None, 25, 7))
    assert primary is not None
    assert other is not None
    assert not other.follows(primary)
    copied_from_another = log_position((True, "1/A0", None, 26, 8))
    assert copied_from_another is not None
    assert not copied_from_another.follows(primary)
    assert log_position((True, None, None, 1, 7)) is None


@pytest.mark.parametrize(
    ("applied", "written", "has_reached"),
    [
        ("0-1-7", "", True),
        ("0-1-6", "", False),
        ("0-1-6", "0-2-7", True),  # promoted, and written to since
        ("1-1-9,0-3-8", "0-3-8", True),
        ("1-1-9", "1-1-9", False),
    ],
)
def test_a_replica_has_what_it_has_applied_or_written(
    applied: str, written: str, *, has_reached: bool
) -> None:
    primary = gtid_position(("", "0-1-7", 0))
    replica = gtid_position((applied, written, 1))
    assert primary is not None
    assert replica is not None
    assert (primary.takes_writes, replica.takes_writes) == (True, False)
    assert replica.has_reached(primary) is has_reached


@pytest.mark.parametrize("answer", [("", "", "OFF"), (None, None, 0), ("0-1-7", "", 0)])
def test_a_primary_without_a_binary_log_has_no_position(answer: tuple[object, ...]) -> None:
    assert gtid_position(answer) is None

"""The checker finds each kind of fault in a history that has it, and none where there is none."""

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.histories.checker import KINDS, anomalies_of
from tests.histories.history import Append, History, Outcome, Read, Step, Unit


def history(*units: Sequence[Step] | Unit, **final: tuple[int, ...]) -> History:
    """Make a history of units that have all committed, unless they say otherwise."""
    numbered = [
        unit if isinstance(unit, Unit) else Unit(number, tuple(unit), began=0, ended=10)
        for number, unit in enumerate(units, 1)
    ]
    return History(numbered, final)


BAD: Mapping[str, History] = {
    "internal": history([Append("x", 1), Read("x", ())], x=(1,)),
    "garbage": history([Read("x", (9,))], x=()),
    "duplicate": history([Append("x", 1)], x=(1, 1)),
    "order": history([Append("x", 1)], [Append("x", 2)], [Read("x", (2, 1))], x=(1, 2)),
    "lost": history([Read("x", ()), Append("x", 1)], [Read("x", ()), Append("x", 2)], x=(2,)),
    "future": history(
        Unit(1, (Append("x", 1),), began=5, ended=6),
        Unit(2, (Read("x", (1,)),), began=1, ended=2),
        x=(1,),
    ),
    "torn": history(
        Unit(1, (Append("x", 1), Append("y", 2)), Outcome.UNKNOWN),
        x=(1,),
        y=(),
    ),
    "G0": history(
        [Append("x", 1), Append("y", 1)], [Append("x", 2), Append("y", 2)], x=(1, 2), y=(2, 1)
    ),
    "G1a": history(Unit(1, (Append("x", 1),), Outcome.ABORTED), [Read("x", (1,))], x=()),
    "G1b": history([Append("x", 1), Append("x", 2)], [Read("x", (1,))], x=(1, 2)),
    "G1c": history(
        [Append("x", 1), Read("y", (2,))], [Append("y", 2), Read("x", (1,))], x=(1,), y=(2,)
    ),
    "G-single": history(
        [Read("x", ()), Read("y", (2,))], [Append("x", 1), Append("y", 2)], x=(1,), y=(2,)
    ),
    "G2": history([Read("x", ()), Append("y", 1)], [Read("y", ()), Append("x", 2)], x=(2,), y=(1,)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_fault_is_found(kind: str) -> None:
    assert kind in {anomaly.kind for anomaly in anomalies_of(BAD[kind])}


def test_a_lost_update_is_found_also_where_both_values_are_there() -> None:
    both = history([Read("x", ()), Append("x", 1)], [Read("x", ()), Append("x", 2)], x=(1, 2))
    assert {anomaly.kind for anomaly in anomalies_of(both)} == {"G-single"}


def test_a_long_circle_is_found() -> None:
    size = 50
    units: list[list[Step]] = [
        [Read(f"{at}", ()), Append(f"{(at + 1) % size}", at)] for at in range(size)
    ]
    final = {f"{(at + 1) % size}": (at,) for at in range(size)}
    found = anomalies_of(history(*units, **final))
    assert [anomaly.kind for anomaly in found] == ["G2"]
    assert len(set(found[0].units)) == size


def test_units_that_read_one_state_need_no_place_in_the_order() -> None:
    """As after Fekete, O'Neil and O'Neil: a read-only transaction anomaly of snapshots."""
    deposit = Unit(1, (Read("x", ()), Append("x", 1)))
    withdrawal = Unit(2, (Read("x", ()), Read("y", ()), Append("y", 2)))
    report = (Read("x", (1,)), Read("y", ()))
    final = {"x": (1,), "y": (2,)}
    placed = History([deposit, withdrawal, Unit(3, report)], final)
    assert [anomaly.kind for anomaly in anomalies_of(placed)] == ["G2"]
    assert anomalies_of(History([*placed.units[:2], Unit(3, report, reads_only=True)], final)) == []


def test_what_is_unknown_may_be_there_or_not() -> None:
    unknown = Unit(1, (Append("x", 1), Append("y", 1)), Outcome.UNKNOWN)
    assert anomalies_of(history(unknown, x=(1,), y=(1,))) == []
    assert anomalies_of(history(unknown, x=(), y=())) == []


KEYS = ("x", "y", "z")
PLANS = st.lists(
    st.tuples(
        st.lists(st.tuples(st.sampled_from(KEYS), st.booleans()), min_size=1, max_size=5),
        st.sampled_from(Outcome),
        st.booleans(),
    ),
    max_size=30,
)


def carried_out(plans: Sequence[tuple[Sequence[tuple[str, bool]], Outcome, bool]]) -> History:
    """Run units one after the other, of which some are rolled back."""
    state: dict[str, tuple[int, ...]] = dict.fromkeys(KEYS, ())
    units, value = [], 0
    for number, (plan, outcome, took_effect) in enumerate(plans):
        own, steps = dict(state), list[Step]()
        for key, appends in plan:
            if appends:
                value += 1
                own[key] += (value,)
                steps.append(Append(key, value))
            else:
                steps.append(Read(key, own[key]))
        units.append(Unit(number, tuple(steps), outcome, number, number + 3))
        if outcome is Outcome.COMMITTED or (outcome is Outcome.UNKNOWN and took_effect):
            state = own
    return History(units, state)


@given(PLANS)
def test_no_fault_is_found_in_what_ran_one_after_the_other(
    plans: Sequence[tuple[Sequence[tuple[str, bool]], Outcome, bool]],
) -> None:
    assert anomalies_of(carried_out(plans)) == []


@given(PLANS, st.data())
def test_a_committed_value_that_vanishes_is_missed(
    plans: Sequence[tuple[Sequence[tuple[str, bool]], Outcome, bool]], data: st.DataObject
) -> None:
    whole = carried_out(plans)
    committed = {
        (append.key, append.value)
        for unit in whole.units
        if unit.outcome is Outcome.COMMITTED
        for append in unit.appends
    }
    if not committed:
        return
    key, value = data.draw(st.sampled_from(sorted(committed)))
    left = tuple(each for each in whole.final[key] if each != value)
    found = anomalies_of(History(whole.units, {**whole.final, key: left}))
    assert "lost" in {anomaly.kind for anomaly in found}

"""No stored value shows in a span, a metric, a log, an exception or a repr, whatever fails."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from enum import Enum
from typing import Any, Final

import pytest

from synthorg.persistence import ObservedCall, PersistenceConfig, create_backend
from synthorg.persistence.testing.kind import Kind
from synthorg.persistence.testing.kinds import kinds
from tests.conformance.conftest import ROUTES
from tests.conformance.observer import Recorder, arguments, methods_of, observed
from tests.conformance.test_telemetry import Exported
from tests.conftest import on_route, with_parameter
from tests.servers.base import Server

CANARY: Final = "canary"
KEY: Final = "keycanary"
"""In keys, which messages name on purpose, and nothing that is exported does."""

SLOW: Final = {"slow_call_seconds": "0", "explain_slow_calls": "true"}


def with_canaries(kind: Kind) -> Any:
    """Make a record with a canary in every field that takes one."""
    record = kind.altered(kind.keyed(KEY), **dict.fromkeys(kind.unique, CANARY))
    for name in kind.fields:
        value = getattr(record, name)
        if name in kind.key or not isinstance(value, str) or isinstance(value, Enum):
            continue
        with suppress(ValueError):
            record = kind.altered(record, **{name: f"{CANARY}-{name}"})
    return record


async def failed(work: Awaitable[object]) -> str:
    """Give all that an exception tells of a work that fails, and those behind it."""
    try:
        await work
    except Exception as raised:  # noqa: BLE001 (whatever it is)
        texts, behind = [], [raised]
        while behind:
            error = behind.pop()
            texts.append(f"{error} {error!r} {error.args} {getattr(error, '__notes__', ())}")
            further = (error.__cause__, error.__context__)
            behind += [each for each in further if isinstance(each, Exception)]
        return "\n".join(texts)
    return ""


async def everything_about(kind: Kind, backend: Any, told: list[str]) -> None:
    """Do with a record whatever works and whatever does not."""
    record = with_canaries(kind)
    repository = getattr(backend, kind.repository)
    told.append(await failed(kind.store(backend, record)))
    told.append(await failed(kind.store(backend, record)))  # a second time
    for name in kind.fields:
        if name not in kind.key:
            for wrong in (f"{CANARY}\x00", f"{CANARY}\ud800", CANARY.encode(), [CANARY]):
                with suppress(ValueError, TypeError):
                    forged = kind.forged(record, **{name: wrong})
                    told.append(await failed(kind.save(backend, forged)))
    for method in methods_of(repository):
        values = arguments(kind, repository, method)
        told.append(await failed(_drained(getattr(repository, method), *values)))
    if hasattr(repository, "get"):
        for key in (f"{KEY}\x00", 7, None):
            told.append(await failed(repository.get(key)))  # noqa: PERF401 (one after the other)
    told.append(repr(repository))


async def _drained(method: Callable[..., Any], *values: Any) -> None:
    answer = method(*values)
    if hasattr(answer, "__aiter__"):
        async for _ in answer:
            pass
    else:
        await answer


def check(exported: Exported, caplog: pytest.LogCaptureFixture, told: list[str]) -> None:
    """Make sure that no canary shows, and that there was something where one could."""
    assert exported.spans
    spans = [span.to_json() for span in exported.spans]
    metrics = repr(exported.metrics.values())
    for text in (*spans, metrics):
        assert CANARY not in text
    for each in caplog.records:
        # Which record it was that could not be read has to be told.
        assert CANARY not in str(vars(each)).replace(KEY, "")
    for text in told:
        assert CANARY not in text.replace(KEY, ""), text


@kinds()
@pytest.mark.parametrize("route", ROUTES)
async def test_no_value_shows_whatever_becomes_of_a_call(
    server: Server, route: str, kind: Kind, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="synthorg")
    exported, recorder, told = Exported(), Recorder(), list[str]()
    async with observed(server, route, exported.observer, recorder, **SLOW) as backend:
        await everything_about(kind, backend, told)

        async def in_a_unit(*, read_only: bool) -> None:
            async with backend.transaction(read_only=read_only) as unit:
                told.append(repr(unit))
                await everything_about(kind, unit, told)

        told.append(await failed(in_a_unit(read_only=False)))
        told.append(await failed(in_a_unit(read_only=True)))
        cancelled = asyncio.create_task(kind.save(backend, with_canaries(kind)))
        await asyncio.sleep(0)
        cancelled.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await cancelled
        told.append(repr(backend))
        await backend.disconnect()
        told.append(await failed(kind.save(backend.repositories, with_canaries(kind))))
    told += [repr(call) + call_texts(call) for call in recorder.ended]
    assert {call.error_type is None for call in recorder.ended} == {True, False}
    check(exported, caplog, told)


def call_texts(call: ObservedCall) -> str:
    """Give all that an observer can read of a call."""
    return " ".join(str(value) for name, value in vars(call).items() if name != "statement")


@kinds()
async def test_no_value_shows_where_there_are_no_tables(
    server: Server, kind: Kind, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="synthorg")
    exported, told = Exported(), list[str]()
    with server.empty_database() as url:
        own = with_parameter(on_route(url), "slow_call_seconds=0")
        config = PersistenceConfig.from_url(own)
        async with create_backend(config, observers=[exported.observer]) as backend:
            told.append(await failed(kind.save(backend, with_canaries(kind))))
    assert told != [""]
    check(exported, caplog, told)

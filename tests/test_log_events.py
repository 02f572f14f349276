"""Whatever is logged is an event with a name, fields and a place in the table of operators."""

import ast
import json
import logging
import re
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from synthorg.persistence import PersistenceConfig, create_backend
from synthorg.persistence.log_events import LogEvent, log_event
from tests.listings import CHECKOUT, listings

PAGE: Final = CHECKOUT / "docs" / "operators" / "logging.md"
HOME: Final = "log_events.py"
LEVELS: Final = {"debug", "info", "warning", "warn", "error", "exception", "critical", "log"}
ROW: Final = re.compile(r"\| `(\w+)` \| ([A-Z]+) \|([^|]*)\| [^|]+ \|")

logger = logging.getLogger(__name__)


def sources() -> Iterator[Path]:
    return (CHECKOUT / "src").rglob("*.py")


def calls(path: Path) -> Iterator[ast.Call]:
    return (each for each in ast.walk(ast.parse(path.read_text())) if isinstance(each, ast.Call))


def is_call_of_a_logger(call: ast.Call) -> bool:
    function = call.func
    if not isinstance(function, ast.Attribute) or function.attr not in LEVELS:
        return False
    return "log" in ast.unparse(function.value).lower()


def test_nobody_but_log_event_calls_a_logger() -> None:
    found = {path.name for path in sources() for call in calls(path) if is_call_of_a_logger(call)}
    assert found == {HOME}


def test_each_event_is_logged_somewhere() -> None:
    text = "".join(path.read_text() for path in sources() if path.name != HOME)
    used = set(re.findall(r"\bLogEvent\.([A-Z_]+)", text))
    assert used == {event.name for event in LogEvent}


def test_the_page_for_operators_lists_each_event_with_its_level_and_fields() -> None:
    rows = [match.groups() for match in map(ROW.match, PAGE.read_text().splitlines()) if match]
    assert [
        (name, level, tuple(re.findall(r"`(\w+)`", fields))) for name, level, fields in rows
    ] == [(event.event_name, logging.getLevelName(event.level), event.fields) for event in LogEvent]


@pytest.mark.parametrize("event", LogEvent, ids=lambda event: event.event_name)
def test_a_record_has_the_name_and_the_fields_of_its_event(
    event: LogEvent, caplog: pytest.LogCaptureFixture
) -> None:
    values = {field: number for number, field in enumerate(event.fields)}
    with caplog.at_level(logging.DEBUG):
        log_event(logger, event, **values)
    (record,) = caplog.records
    assert vars(record).items() >= {"event": event.event_name, **values}.items()
    assert (record.levelno, record.name) == (event.level, __name__)
    assert record.getMessage() == event.sentence % values
    assert record.funcName == test_a_record_has_the_name_and_the_fields_of_its_event.__name__


def test_a_field_that_an_event_has_not_is_refused() -> None:
    with pytest.raises(AssertionError):
        log_event(logger, LogEvent.WAL_NOT_LEFT, secret=1)


async def test_the_listing_for_json_shows_fields(tmp_path: Path) -> None:
    (listing,) = listings(PAGE, "python")
    assert PAGE.name == "logging.md"
    root, before = logging.getLogger(), logging.getLogger().handlers[:]
    level = root.level
    try:
        formatter = runpy.run_path(str(listing.write(tmp_path)))["JSONLines"]()
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(formatter.format(record))  # type: ignore[method-assign]
    library = logging.getLogger("synthorg.persistence")
    library.addHandler(handler)
    library.setLevel(logging.INFO)
    try:
        config = PersistenceConfig.from_url(f"sqlite:///{tmp_path / 'agents.db'}")
        async with create_backend(config):
            pass
    finally:
        library.removeHandler(handler)
        library.setLevel(logging.NOTSET)
    assert [(json.loads(line)["event"], json.loads(line)["backend"]) for line in lines] == [
        ("connected", "sqlite"),
        ("disconnected", "sqlite"),
    ]

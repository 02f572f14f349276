"""The page on health says what there is, and its endpoint answers as it says."""

import json
import re
import runpy
from pathlib import Path
from typing import Any, Final

import pytest
from fastapi import FastAPI

from synthorg.persistence import Health, HealthReason
from synthorg.persistence.config import DATABASE_URL_VARIABLE
from synthorg.persistence.health import UNFIT
from tests.listings import CHECKOUT, listings

PAGE: Final = CHECKOUT / "docs" / "operators" / "health.md"


def test_the_page_names_every_reason_and_whether_it_takes_an_instance_away() -> None:
    rows = re.findall(r"^\| `(\w+)` \|.*\| (yes|no) \|$", PAGE.read_text(), re.MULTILINE)
    assert rows == [(reason, "yes" if reason in UNFIT else "no") for reason in HealthReason]


def test_the_page_names_every_figure() -> None:
    _, _, figures = PAGE.read_text().partition("## The figures")
    named = set(re.findall(r"`(\w+)`", figures))
    told_before = {"backend_name", "reachable", "error", "copy_unfinished", "degraded"}
    assert set(Health.model_fields) - told_before <= named


async def test_the_endpoint_is_ready_once_the_database_is_migrated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DATABASE_URL_VARIABLE, f"sqlite:///{tmp_path / 'agents.db'}")
    (listing,) = listings(PAGE, "python")
    service = runpy.run_path(str(listing.write(tmp_path)))
    app, backend = service["app"], service["backend"]
    async with service["lifespan"](app):
        assert (await get(app, "/health/live"))[0] == 200
        status, told = await get(app, "/health/ready")
        assert (status, reasons_in(told)) == (503, ["schema_missing"])
        await backend.migrate()
        status, told = await get(app, "/health/ready")
        assert (status, reasons_in(told)) == (200, [])
        assert told["is_ready"] is True
        assert told["schema_state"] == "current"
    status, told = await get(app, "/health/ready")
    assert (status, reasons_in(told)) == (503, ["not_connected"])
    assert (await get(app, "/health/live"))[0] == 200


def reasons_in(told: Any) -> list[str]:
    return [each["code"] for each in told["degraded"]]


async def get(app: FastAPI, path: str) -> tuple[int, Any]:
    """Ask as a server does that speaks ASGI, and give status and content of the answer."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "headers": [], "query_string": b""}
    await app(scope, receive, send)
    start, *rest = sent
    return start["status"], json.loads(b"".join(each["body"] for each in rest))

"""The pages for people; all that they show, they ask of the other paths."""

from pathlib import Path
from typing import Final

from fastapi import APIRouter
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

FOLDER: Final = Path(__file__).parent / "static"
# Whatever a message says, a browser runs nothing and asks nothing but what is from here.
HEADERS: Final = {"Content-Security-Policy": "default-src 'self'"}

router = APIRouter(include_in_schema=False)
static = StaticFiles(directory=FOLDER)


@router.get("/")
async def messages() -> FileResponse:
    """Show the messages of a channel as they come in."""
    return FileResponse(FOLDER / "messages.html", headers=HEADERS)


@router.get("/dashboard")
async def dashboard() -> FileResponse:
    """Show what the calls to language models have cost."""
    return FileResponse(FOLDER / "dashboard.html", headers=HEADERS)

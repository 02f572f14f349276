"""Whether the process lives, and whether it can serve."""

from http import HTTPStatus
from typing import Final

from fastapi import APIRouter, Response

from service.dependencies import Backend
from synthorg.persistence import Health

PATIENCE_SECONDS: Final = 2  # less than whoever asks has

router = APIRouter(tags=["health"])


@router.get("/live", status_code=HTTPStatus.NO_CONTENT)
async def live() -> None:
    """Answer: whoever asks wants to know whether to start the process anew."""


@router.get("/ready", responses={HTTPStatus.SERVICE_UNAVAILABLE: {"model": Health}})
async def ready(backend: Backend, response: Response) -> Health:
    """Tell how the database is: while requests would fail, others shall get them."""
    health = await backend.health(timeout=PATIENCE_SECONDS)
    if not health.is_ready:
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    return health

"""Whether the process lives, and whether it can serve."""

from http import HTTPStatus

from fastapi import APIRouter, Response
from pydantic import BaseModel

from service.dependencies import Backend

router = APIRouter(tags=["health"])


class Readiness(BaseModel):
    """Whether requests can be served.

    Attributes:
        ready: Whether they can.
        database: The kind of database.
    """

    ready: bool
    database: str


@router.get("/live", status_code=HTTPStatus.NO_CONTENT)
async def live() -> None:
    """Answer: whoever asks wants to know whether to start the process anew."""


@router.get("/ready", responses={HTTPStatus.SERVICE_UNAVAILABLE: {"model": Readiness}})
async def ready(backend: Backend, response: Response) -> Readiness:
    """Tell whether the database answers: where it does not, others shall get the requests."""
    answers = await backend.health_check()
    if not answers:
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    return Readiness(ready=answers, database=backend.backend_name)

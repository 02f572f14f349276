"""What a client is told when something cannot be done (RFC 9457)."""

import logging
from http import HTTPStatus
from typing import Final

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse

from synthorg.persistence import (
    DuplicateRecordError,
    InvalidArgumentError,
    OutcomeUnknownError,
    PersistenceConnectionError,
    PersistenceError,
    TransactionConflictError,
    VersionConflictError,
)

logger = logging.getLogger(__name__)

RETRY_AFTER_SECONDS: Final = 2

ANSWERS: Final[dict[type[PersistenceError], HTTPStatus]] = {
    InvalidArgumentError: HTTPStatus.BAD_REQUEST,
    DuplicateRecordError: HTTPStatus.CONFLICT,
    VersionConflictError: HTTPStatus.CONFLICT,
    TransactionConflictError: HTTPStatus.SERVICE_UNAVAILABLE,
    PersistenceConnectionError: HTTPStatus.SERVICE_UNAVAILABLE,
    OutcomeUnknownError: HTTPStatus.GATEWAY_TIMEOUT,
    PersistenceError: HTTPStatus.INTERNAL_SERVER_ERROR,
}
"""The answer to each kind of error, and to those derived from it that have none of their own."""

HINTS: Final = {
    HTTPStatus.SERVICE_UNAVAILABLE: "Nothing was stored. The same request may succeed soon.",
    HTTPStatus.GATEWAY_TIMEOUT: "It may or may not be stored: read it before you send it again.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "The log of the service says what is wrong.",
}
"""What is said of faults that are not the client's, whose own text is for the log."""


def install(app: FastAPI) -> None:
    """Have the application answer to each kind of error."""
    for kind in ANSWERS:
        app.add_exception_handler(kind, _answer)


def not_found(what: str) -> HTTPException:
    """Make the error for a record that there is not."""
    return HTTPException(HTTPStatus.NOT_FOUND, f"there is no such {what}")


async def _answer(request: Request, error: Exception) -> JSONResponse:
    status = next(ANSWERS[kind] for kind in type(error).__mro__ if kind in ANSWERS)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        facts = {"method": request.method, "path": request.url.path}
        logger.error("A request has failed", exc_info=error, extra=facts)
    again = status == HTTPStatus.SERVICE_UNAVAILABLE
    return JSONResponse(
        {
            "title": status.phrase,
            "status": status,
            "detail": HINTS.get(status, str(error)),
        },
        status_code=status,
        headers={"Retry-After": str(RETRY_AFTER_SECONDS)} if again else None,
        media_type="application/problem+json",
    )

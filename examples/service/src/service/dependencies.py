"""What the functions behind the paths ask for."""

import asyncio
from typing import Annotated

from fastapi import Depends, Query, Request
from pydantic import BaseModel

from synthorg.persistence import ManagedBackend


async def the_backend(request: Request) -> ManagedBackend:
    """Give the backend that the application has connected."""
    backend: ManagedBackend = request.app.state.backend
    return backend


async def the_end(request: Request) -> asyncio.Event:
    """Give the event that is set when the process is told to end."""
    stopping: asyncio.Event = request.app.state.stopping
    return stopping


Backend = Annotated[ManagedBackend, Depends(the_backend)]
Stopping = Annotated[asyncio.Event, Depends(the_end)]


class Walk(BaseModel):
    """Where in a list a page begins, and how long it is.

    Attributes:
        limit: The most records on the page.
        after: The `next_cursor` of the page before; a bad one is refused by the database layer.
    """

    limit: int = Query(50, ge=1, le=500)
    after: str | None = None


Paging = Annotated[Walk, Depends()]

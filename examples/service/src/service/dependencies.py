"""What the functions behind the paths ask for."""

from typing import Annotated

from fastapi import Depends, Query, Request
from pydantic import BaseModel

from synthorg.persistence import ManagedBackend


async def the_backend(request: Request) -> ManagedBackend:
    """Give the backend that the application has connected."""
    backend: ManagedBackend = request.app.state.backend
    return backend


Backend = Annotated[ManagedBackend, Depends(the_backend)]


class Walk(BaseModel):
    """Where in a list a page begins, and how long it is.

    Attributes:
        limit: The most records on the page.
        after: The `next_cursor` of the page before; a bad one is refused by the database layer.
    """

    limit: int = Query(50, ge=1, le=500)
    after: str | None = None


Paging = Annotated[Walk, Depends()]

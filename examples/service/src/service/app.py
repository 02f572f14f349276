"""The application: its life with the database, and what it is put together from."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from fastapi import FastAPI

from service import costs, errors, health, messages, pages, stopping, tasks, workflows
from synthorg.persistence import PersistenceConfig, create_backend

MODULES: Final = (health, tasks, workflows, messages, costs, pages)


def create_app(config: PersistenceConfig | None = None) -> FastAPI:
    """Make the application; nothing is connected before it starts.

    Args:
        config: The database; where none is given, the environment says which.

    Returns:
        The application, of which each process that serves it makes its own.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        chosen = PersistenceConfig.from_env() if config is None else config
        # Any number of processes may do this at once: one migrates, the others wait for it.
        async with create_backend(chosen, migrate=True) as backend:
            with stopping.noticed() as app.state.stopping:
                app.state.backend = backend
                yield

    app = FastAPI(title="Organisation", lifespan=lifespan)
    errors.install(app)
    for module in MODULES:
        app.include_router(module.router)
    app.mount("/static", pages.static)
    return app

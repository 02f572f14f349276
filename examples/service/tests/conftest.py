"""Fixtures: the application on every database, asked without a server in between."""

import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from httpx import ASGITransport, AsyncClient

from service import create_app
from synthorg.persistence import PersistenceConfig

SERVERS = os.environ.get("SERVICE_DATABASES", "").split()
"""The URLs of databases on servers, each for these tests alone."""

DATABASES = {"sqlite": "", **{url.partition(":")[0]: url for url in SERVERS}}


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database of every kind in turn; on servers, it has what earlier tests have left."""
    return DATABASES[request.param] or f"sqlite:///{tmp_path}/service.db"


@pytest.fixture
async def client(url: str) -> AsyncIterator[AsyncClient]:
    """A client of the application."""
    async with serve(url) as client:
        yield client


@asynccontextmanager
async def serve(url: str) -> AsyncGenerator[AsyncClient]:
    """Start the application on a database in this process, and give a client of it."""
    app = create_app(PersistenceConfig.from_url(url))
    transport = ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        AsyncClient(transport=transport, base_url="http://service") as client,
    ):
        yield client


@pytest.fixture
def name() -> str:
    """A name that nothing else in the database has."""
    return str(uuid4())

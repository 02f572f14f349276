"""What applications have is installed beside the library, in its newest release.

`make test-newest` runs this: it asks a package index, so that other runs of the tests skip it.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Final

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.packaging.conftest import CHECKOUT, PROJECT

RESOLVER: Final = os.environ.get("TEST_RESOLVER", "")
"""The program `uv`."""

LIBRARY: Final = f"{PROJECT['project']['name']}[cli,mariadb,postgresql] @ {CHECKOUT.as_uri()}"

COMPANIONS: Final = (
    ("crewai",),
    ("langgraph", "langgraph-checkpoint-sqlite"),
    ("openai-agents[sqlalchemy]",),
    ("google-adk[db]",),
    ("fastapi",),
    ("litestar[sqlalchemy]",),
    ("prefect",),
)


def resolve(*requirements: str) -> Mapping[str, str]:
    """Give the version of each distribution that is installed for requirements, newest first."""
    options = ("--quiet", "--no-header", "--no-annotate", "--python", sys.executable)
    process = subprocess.run(
        [RESOLVER, "pip", "compile", *options, "-"],
        input="\n".join(requirements),
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    pins = [line.partition("==") for line in process.stdout.splitlines() if "==" in line]
    return {canonicalize_name(Requirement(name).name): version for name, _, version in pins}


@pytest.mark.skipif(not RESOLVER, reason="TEST_RESOLVER names no uv to ask a package index with")
@pytest.mark.parametrize("companions", COMPANIONS, ids=lambda companions: companions[0])
def test_the_newest_release_is_installed_beside_the_library(
    companions: tuple[str, ...],
) -> None:
    alone = resolve(*companions)
    together = resolve(*companions, LIBRARY)

    names = [canonicalize_name(Requirement(each).name) for each in companions]
    assert [together[name] for name in names] == [alone[name] for name in names]
    assert {"aiosqlite", "alembic", "pydantic", "sqlalchemy"} <= together.keys()

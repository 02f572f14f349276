"""Fixtures: the distributions as they are built, and an environment in which each is installed."""

import importlib.util
import os
import subprocess
import sys
import sysconfig
import tomllib
import venv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

CHECKOUT: Final = Path(__file__).resolve().parents[2]
PROJECT: Final[dict[str, Any]] = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
BUSY_SECONDS: Final = 120

KINDS: Final = ("wheel", "sdist", "editable")


@dataclass(frozen=True)
class Installation:
    """An environment with nothing of this project but one installed distribution.

    Attributes:
        kind: What was installed.
        python: Its interpreter.
        packages: Where it was installed to.
    """

    kind: str
    python: Path
    packages: Path

    def run(self, *arguments: str | Path, folder: Path, **environment: str) -> str:
        """Run its interpreter, which has to succeed, and give what it printed.

        Args:
            arguments: The command line.
            folder: Where to run it.
            environment: Variables to set beside those of this process.
        """
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        return run([self.python, *arguments], folder, {**inherited, **environment})


@dataclass(frozen=True)
class Distributions:
    """The files that are published."""

    wheel: Path
    sdist: Path


def run(command: Sequence[str | Path], folder: Path, environment: dict[str, str]) -> str:
    """Run a program, which has to succeed, and give what it printed."""
    process = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=BUSY_SECONDS,
        check=False,
    )
    assert process.returncode == 0, f"{command}\n{process.stdout}\n{process.stderr}"
    return process.stdout


@pytest.fixture(scope="session")
def build_environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment variables with which the build backend can be imported.

    It is fetched once, instead of once for each build in isolation.
    """
    folder = tmp_path_factory.mktemp("build-backend")
    if importlib.util.find_spec("hatchling") is None:
        fetch = ("install", "--quiet", "--target", folder, *PROJECT["build-system"]["requires"])
        run([sys.executable, "-m", "pip", *fetch], folder, dict(os.environ))
    return {**os.environ, "PYTHONPATH": str(folder), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


@pytest.fixture(scope="session")
def distributions(
    tmp_path_factory: pytest.TempPathFactory, build_environment: dict[str, str]
) -> Distributions:
    """Wheel and source distribution, each built from the checkout."""
    folder = tmp_path_factory.mktemp("distributions")
    build = ("--no-isolation", "--wheel", "--sdist", "--outdir", folder, CHECKOUT)
    run([sys.executable, "-m", "build", *build], folder, build_environment)
    (wheel,) = folder.glob("*.whl")
    (sdist,) = folder.glob("*.tar.gz")
    return Distributions(wheel, sdist)


@pytest.fixture(scope="session")
def install(
    tmp_path_factory: pytest.TempPathFactory,
    build_environment: dict[str, str],
    distributions: Distributions,
) -> Callable[[str], Installation]:
    """A function that installs a distribution of some kind, once."""
    what: dict[str, Sequence[str | Path]] = {
        "wheel": [distributions.wheel],
        "sdist": [distributions.sdist],
        "editable": ["--editable", CHECKOUT],
    }
    done: dict[str, Installation] = {}

    def make(kind: str) -> Installation:
        folder = tmp_path_factory.mktemp(kind)
        venv.create(folder, symlinks=True)
        python = folder / "bin" / "python"
        pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet")
        alone = ("--no-index", "--no-deps", "--no-build-isolation")
        run([*pip, *alone, *what[kind]], folder, build_environment)
        (packages,) = folder.glob("lib/python*/site-packages")
        return Installation(kind, python, packages)

    def give(kind: str) -> Installation:
        if kind not in done:
            done[kind] = make(kind)
            borrow_dependencies(done[kind].packages)
        return done[kind]

    return give


def borrow_dependencies(packages: Path) -> None:
    """Let an environment import what is installed in the one that runs the tests.

    Its own packages come first, and an editable installation in the other is not seen, as the
    files with the extension .pth in there are not read.
    """
    others = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (packages / "dependencies.pth").write_text("\n".join(sorted(others)) + "\n")


@pytest.fixture(params=KINDS)
def installation(
    request: pytest.FixtureRequest, install: Callable[[str], Installation]
) -> Installation:
    """Each kind of installation in turn."""
    return install(request.param)


@pytest.fixture(params=[kind for kind in KINDS if kind != "editable"])
def copied_installation(
    request: pytest.FixtureRequest, install: Callable[[str], Installation]
) -> Installation:
    """Each kind of installation in turn that has nothing to do with the checkout."""
    return install(request.param)

"""Serve: python -m service [--workers 2] [--port 8000]."""

import argparse
from typing import Final

import uvicorn

# What takes longer is cut off; streams of messages end by themselves.
STOPPING_SECONDS: Final = 10


def main() -> None:
    """Serve until a signal comes."""
    parser = argparse.ArgumentParser(prog="python -m service", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--workers", type=int, default=1, help="how many processes serve")
    given = parser.parse_args()
    place = f"http://{given.host}:{given.port}"
    print(f"messages: {place}/   costs: {place}/dashboard   all paths: {place}/docs", flush=True)
    print(
        "`python -m service.fill --talk` has the agents of that database go on talking", flush=True
    )
    uvicorn.run(
        "service.app:create_app",
        factory=True,
        host=given.host,
        port=given.port,
        workers=given.workers,
        timeout_graceful_shutdown=STOPPING_SECONDS,
    )


if __name__ == "__main__":
    main()

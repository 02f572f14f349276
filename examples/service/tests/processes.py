"""The service and a writer of messages, each in processes of its own."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

WRITER = Path(__file__).with_name("writer.py")
STARTING_SECONDS = 60
STOPPING_SECONDS = 20


def free_port() -> int:
    """Find a port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Service:
    """The service on a port, which can be started, stopped and killed."""

    def __init__(self, url: str, *, workers: int = 1) -> None:
        self.port = free_port()
        self.place = f"http://127.0.0.1:{self.port}"
        self._environment = {**os.environ, "SYNTHORG_DATABASE_URL": url}
        self._workers = workers
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        command = [sys.executable, "-m", "service", "--port", str(self.port)]
        command += ["--workers", str(self._workers)]
        self._process = subprocess.Popen(command, env=self._environment)
        end = time.monotonic() + STARTING_SECONDS
        while not self._is_ready():
            assert self._process.poll() is None, "the service has ended"
            assert time.monotonic() < end, "the service does not become ready"
            time.sleep(0.1)

    def stop(self) -> None:
        """Have it end, which it does although somebody follows messages."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(STOPPING_SECONDS)
            self._process = None

    def kill(self) -> None:
        """End it at once; it must not have workers, which would stay."""
        assert self._process is not None
        assert self._workers == 1
        self._process.kill()
        self._process.wait()
        self._process = None

    def _is_ready(self) -> bool:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/ready")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()


@contextmanager
def running(url: str, *, workers: int = 1) -> Generator[Service]:
    """Have the service run for a while."""
    service = Service(url, workers=workers)
    try:
        service.start()
        yield service
    finally:
        service.stop()


class Writer:
    """A process that saves messages."""

    def __init__(self, url: str, channel: str, count: int) -> None:
        command = [sys.executable, str(WRITER), url, channel, str(count)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE)

    @property
    def is_writing(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def saved(self) -> dict[str, float]:
        """Wait for its end, and tell when saving each message has returned, by id."""
        printed, _ = self._process.communicate()
        assert self._process.returncode == 0
        return dict(json.loads(printed))

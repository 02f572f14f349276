"""How much memory this process takes."""

import resource
import sys
from pathlib import Path
from typing import Final

STATUS: Final = Path("/proc/self/status")
CLEAR_REFS: Final = Path("/proc/self/clear_refs")
FORGET: Final = "5"
"""Makes Linux forget the peak; see proc(5)."""

EXACT: Final = "the peak of resident memory (VmHWM), forgotten before each step"
COARSE: Final = (
    "the peak of resident memory (ru_maxrss), which cannot be forgotten here: "
    "a step grows by what it takes beyond the peak before it"
)


class Peak:
    """The most resident memory from now on.

    Attributes:
        method: How it is measured, which depends on the system.
        before: The bytes at the beginning.
    """

    def __init__(self) -> None:
        self.method = EXACT if _forget() else COARSE
        self.before = self.bytes()

    def bytes(self) -> int:
        """Tell how many bytes there were at most, up to this moment."""
        return _exact() if self.method == EXACT else _coarse()


def _forget() -> bool:
    try:
        CLEAR_REFS.write_text(FORGET)
    except OSError:  # another system, or a container that forbids it
        return False
    return True


def _exact() -> int:
    (line,) = (line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def _coarse() -> int:
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024

"""Runs a private server until standard input ends, then removes its folder: a program of its own.

The tests hold the other end of standard input, so the server ends with them however they end.
"""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

GRACE_SECONDS = 10


def main(folder: str, account: str, script: str) -> None:
    """Run the script in the folder, without the privileges of root.

    Args:
        folder: The working folder, which is given to the account and removed in the end.
        account: Who runs the script when this program runs as root; `nobody` if unknown.
        script: What to run, by `/bin/sh`.
    """
    # What a shell starts in the background ignores it, and would end only when it is killed.
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    user = group = None
    if os.geteuid() == 0:
        user, group = find_account(account)
        for path in (Path(folder), *Path(folder).rglob("*")):
            os.chown(path, user, group, follow_symlinks=False)
    server = subprocess.Popen(
        ["/bin/sh", "-c", script],
        stdin=subprocess.DEVNULL,
        cwd=folder,
        # MariaDB, when it starts, removes the temporary tables of all servers in the same place.
        env=os.environ | {"TMPDIR": folder},
        user=user,
        group=group,
        extra_groups=None if user is None else [],
        process_group=0,
    )
    threading.Thread(target=stop_with_the_tests, args=(server,), daemon=True).start()
    server.wait()
    shutil.rmtree(folder)


def find_account(name: str) -> tuple[int, int]:
    """Find the ids of an account and of its group."""
    try:
        account = pwd.getpwnam(name)
    except KeyError:
        account = pwd.getpwnam("nobody")
    return account.pw_uid, account.pw_gid


def stop_with_the_tests(server: subprocess.Popen[bytes]) -> None:
    """Wait for the end of standard input, then stop the server without waiting for its clients."""
    os.read(sys.stdin.fileno(), 1)  # nothing is ever sent, so it returns when the pipe closes
    # PostgreSQL needs SIGQUIT to give back its shared memory; MariaDB takes it for SIGTERM.
    os.killpg(server.pid, signal.SIGQUIT)
    try:
        server.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)


if __name__ == "__main__":
    main(*sys.argv[1:])

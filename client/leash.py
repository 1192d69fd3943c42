"""Becomes a command that does not outlive its parent: `python leash.py PARENT_PID COMMAND…`.

A script of its own, run before the command: the kernel's parent-death signal survives exec, and setting it here
needs no code between fork and exec of a process that has threads.
"""

import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Asks the kernel for SIGTERM at the parent's death (Linux only), then becomes the command."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            raise SystemExit("the parent is gone already")
    os.execv(command[0], command)


if __name__ == "__main__":
    main()

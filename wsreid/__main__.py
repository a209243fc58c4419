"""`python -m wsreid`, and the console script of the same name."""

import sys
from pathlib import Path

from wsreid.errors import WsreidError


def entry() -> None:
    """Runs the command line; what a user can mend is one message on stderr and exit code 2; a signal's is 128 + it."""
    here = str(Path.cwd())
    if here not in sys.path:  # a console script does not look for my_file.MyMethod in the current folder by itself
        sys.path.insert(0, here)
    from wsreid.cli import main
    from wsreid.cli.closed_pipe import closed_pipe_ends_quietly
    from wsreid.cli.log import show_log

    show_log()
    try:
        with closed_pipe_ends_quietly():
            main()
    except WsreidError as error:
        sys.stderr.write(f"wsreid: {error}\n")
        raise SystemExit(error.code) from None
    except KeyboardInterrupt:
        sys.stderr.write("wsreid: stopped by SIGINT\n")
        raise SystemExit(130) from None


if __name__ == "__main__":
    entry()

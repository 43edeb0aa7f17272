"""The ``transcriber`` command: its arguments; :mod:`transcriber.command` has what it does."""

import os

from reelscribe.stop_signals import leave_on_signals


def main() -> None:
    """Run the command line."""
    leave_on_signals()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy's threads would take time to wait for work
    from reelscribe.program import run_program

    run_program("transcriber", "transcriber.arguments")


if __name__ == "__main__":
    main()

"""`python -m rtpolyp` and the console script."""

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line; exit with 0, with 2 after a one-line error, with 130 after Ctrl-C."""
    try:
        import cv2  # noqa: F401 – before av, always: with av first, cv2.imshow hangs (PyAV issues 978 and 1050)
    except ImportError as exc:
        remedy = "apt-get install -y libgl1 libglib2.0-0 (or the like of your system)"
        if sys.argv[1:2] != ["doctor"]:  # which tells this and whatever else is amiss
            print(f"rtpolyp: opencv-python cannot load {exc}; remedy: {remedy}", file=sys.stderr)
            sys.exit(2)
    from rtpolyp.cli import run_command_line
    from rtpolyp.terminal.timely_exit import end_in_time, leave

    end_in_time()
    leave(run_command_line(sys.argv[1:]))


if __name__ == "__main__":
    main()

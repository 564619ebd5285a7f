"""The commands of `rtpolyp`, one file each."""

import signal
import sys
from collections.abc import Sequence
from types import FrameType

import cyclopts

from rtpolyp.cli.line_writer import LineWriter, logging_to
from rtpolyp.errors import RtpolypError
from rtpolyp.printable import printable

__all__ = ["app", "run_command_line"]

app = cyclopts.App(
    name="rtpolyp",
    help="Real-time polyp segmentation for colonoscopy video. Research software, not a medical device.",
    suppress_keyboard_interrupt=False,
)
app.command("rtpolyp.cli.run:run", help="Outline polyps on a video, an image or a folder of images.")
app.command(
    "rtpolyp.cli.demo:demo", help="Render a phantom clip, outline its polyps, compare with the known masks."
)
app.command(
    "rtpolyp.cli.eval:evaluate",
    name="eval",
    help="Score a network on images with masks, or on a video over time.",
)
app.command("rtpolyp.cli.compare:compare_runs", name="compare", help="Compare two runs on the same frames.")
app.command("rtpolyp.cli.bench:bench", help="Measure how fast this machine runs a network.")
app.command("rtpolyp.cli.doctor:doctor", help="Say what works on this machine, what does not, and the fix.")


def run_command_line(tokens: Sequence[str], app: cyclopts.App = app) -> int:
    """Parse and run one command; return its exit code, 2 after a one-line error, 130 after Ctrl-C."""
    name = app.name[0]
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    with LineWriter(sys.stderr) as errors, logging_to(errors, f"{name}: %(message)s"):
        try:
            code = app(tokens, exit_on_error=False, print_error=False, result_action="return_value")
        except RtpolypError as exc:
            print(f"{name}: {printable(str(exc))}", file=errors)
            return 2
        except cyclopts.CycloptsError as exc:  # some of its lines are lists
            print(f"{name}: {exc}", file=errors)
            return 2
        except KeyboardInterrupt:
            return 130
        return code or 0


def _interrupt(signum: int, frame: FrameType | None) -> None:
    """SIGTERM ends a run as Ctrl-C does: outputs are closed and stay whole, whatever comes after."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _wait_for_the_end)
    raise KeyboardInterrupt


def _wait_for_the_end(signum: int, frame: FrameType | None) -> None:
    """It is under way; rtpolyp.cli.timely_exit makes an end of it where it takes too long."""

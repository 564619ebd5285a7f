"""The commands of `rtpolyp`, one file each."""

import re
from collections.abc import Iterator, Sequence

from rtpolyp.terminal.command_line import make_app, run_app

__all__ = ["app", "run_command_line", "spelled_out"]

FLAGS = {  # of parameters of the library that have another name on the command line
    "allowed_hosts": "--allow-host",
    "alert_delay_ms": "--alert-delay",
    "max_age_ms": "--max-age",
    "raw": "--record-raw",
    "video": "--output",
}

DEFAULT_ADDRESS = "127.0.0.1:8080"
ADDRESS = re.compile(r"[^\s/]*:\d+")  # HOST:PORT or :PORT; a source is a file, a number or a URL

app = make_app(
    "rtpolyp", "Real-time polyp segmentation for colonoscopy video. Research software, not a medical device."
)
app.command("rtpolyp.cli.run:run", help="Outline polyps on a video, an image or a folder of images.")
app.command(
    "rtpolyp.cli.serve:serve", help="Serve a page to which one drags a picture or a clip for its overlay."
)
app.command("rtpolyp.cli.batch:batch", help="Outline polyps on many videos, on one machine or a cluster.")
app.command(
    "rtpolyp.cli.serve_export:serve_export", name="serve-export", help="Write a model for a Triton server."
)
app.command("rtpolyp.cli.report:report", help="Write a web page that says what a run saw.")
app.command(
    "rtpolyp.cli.demo:demo", help="Render a phantom clip, outline its polyps, compare with the known masks."
)
app.command(
    "rtpolyp.cli.eval:evaluate",
    name="eval",
    help="Score a network on images with masks, or on a video over time.",
)
app.command("rtpolyp.cli.compare:compare_runs", name="compare", help="Compare two runs on the same frames.")
app.command(
    "rtpolyp.cli.export:export", help="Write what a run found, or a data set's masks, for labelling tools."
)
app.command(
    "rtpolyp.cli.suggest:suggest", help="Choose the frames of videos that are worth a label, with masks."
)
app.command(
    "rtpolyp.cli.verify_video:verify_video",
    name="verify-video",
    help="Measure what a run does to the picture, and write a report.",
)
app.command("rtpolyp.cli.bench:bench", help="Measure how fast this machine runs a network.")
app.command("rtpolyp.cli.doctor:doctor", help="Say what works on this machine, what does not, and the fix.")
app.register_install_completion_command(help="Complete commands and options in this shell from now on.")


def run_command_line(tokens: Sequence[str]) -> int:
    """Run one command of `rtpolyp`; return its exit code, 2 after a one-line error, 130 after Ctrl-C."""
    return run_app(app, spelled_out(tokens), FLAGS)


def spelled_out(tokens: Sequence[str]) -> list[str]:
    """The tokens as the parser takes them: `--serve` with its address, `-` of `run` as no option."""
    spelled = [*_with_addresses(tokens)]
    if spelled[0:1] == ["run"] and "-" in spelled:  # the standard input
        spelled = [*(token for token in spelled if token != "-"), "--", "-"]
    return spelled


def _with_addresses(tokens: Sequence[str]) -> Iterator[str]:
    """`--serve` may stand alone: then it gets its default address; what has no colon is another argument."""
    for index, token in enumerate(tokens):
        following = tokens[index + 1] if index + 1 < len(tokens) else ""
        alone = token == "--serve" and not ADDRESS.fullmatch(following)
        yield f"--serve={DEFAULT_ADDRESS}" if alone else token

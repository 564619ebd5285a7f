"""docs/results.md and the README's table, from the reports in docs/results: python scripts/write_results.py

Run it after any of those reports has changed. A test holds that both are as it writes them.
"""

import re
from collections.abc import Callable
from pathlib import Path

from rtpolyp.inference.bundle import DEFAULT_BUNDLE, known_bundles
from scripts.results_page import accuracy, speed
from scripts.results_page.reports import RESULTS, interval, read, table, weights

__all__ = ["page", "readme_table", "with_table"]

ROOT = Path(__file__).resolve().parents[1]
PAGE, README = ROOT / "docs" / "results.md", ROOT / "README.md"
MARKED = re.compile(r"(<!-- figures -->\n).*?(<!-- end -->)", re.DOTALL)

INTRODUCTION = """\
This page has all figures of the shipped bundles. `python scripts/write_results.py` writes it from the reports
in `docs/results`. A figure of other weights than the shipped ones is marked "earlier weights".
Research software, not a medical device: no figure here says anything about its use on a patient."""
CONVENTIONS = """\
No network was trained on these test frames. Dice and IoU are per image at the size of the ground truth,
with 95 % intervals by a bootstrap; rates have exact (Clopper–Pearson) intervals. A polyp is found when an
outline meets it with IoU ≥ 0.3 at the bundle's operating point. Crops of one frame resemble each other, so
their intervals are too narrow. `python scripts/score_shipped.py` scores a bundle on these parts once, and
[test_log.csv](results/test_log.csv) has a row for every look at a test part. The 203 polyp-free frames of
HyperKvasir and Kvasir are of Kvasir-SEG's hospital, as are 653 others to which the second looks were fitted,
so expect more outlines in [other hospitals](#hospitals-that-were-left-out)."""
PICTURE = """\
The picture shows the engine alone, at several input sizes and precisions (`python scripts/draw_speed.py
--measure`); bars reach from the slowest to the fastest round. Published networks have their authors' figures,
which are for GPUs."""
LIVE = """\
Memory and the RTSP session were measured with an earlier network of the same size, which had no second
look."""


def page() -> str:
    """The whole page."""
    lines = ["# Results", "", INTRODUCTION, "", "## Accuracy", "", CONVENTIONS, ""]
    shipped = [name for name in known_bundles() if (RESULTS / "eval" / name).is_dir()]
    for bundle in sorted(shipped, key=lambda name: (name != DEFAULT_BUNDLE, name)):
        lines += accuracy.accuracy(bundle)
    lines += ["## Degraded frames", ""]
    for bundle in shipped:
        if (RESULTS / f"robustness-{bundle}.json").exists():
            lines += accuracy.degraded(bundle)
    lines += ["## Hospitals that were left out", "", *accuracy.travel()]
    lines += ["## Real video", "", *speed.real_video(DEFAULT_BUNDLE)]
    lines += ["## Flicker and false alarms", "", *speed.flicker(DEFAULT_BUNDLE)]
    lines += ["## Speed", "", *speed.speed(DEFAULT_BUNDLE)]
    lines += [
        "![Dice on Kvasir-SEG's test frames against frames per second, beside published networks](speed.svg)",
        "",
        PICTURE,
        "",
        *speed.before_and_after(),
        "## The same network in other engines",
        "",
        *speed.peers(),
        "## Live",
        "",
        LIVE,
        "",
        *speed.live(),
    ]
    return "\n".join(lines).rstrip() + "\n"


def readme_table() -> str:
    """The README's table: what each bundle finds, and how fast the default one is."""
    bundles = sorted(known_bundles(), key=accuracy.pixels)
    fast = read("speed.json")
    run, engine = fast["run"], fast["engine"]
    old, processor = weights(fast, DEFAULT_BUNDLE), _short(fast["processor"])
    rows = [(title, *map(figure, bundles)) for title, figure in ACCURACY.items()]
    of_default = (
        f"`{DEFAULT_BUNDLE}` on an {processor}{old}: a frame takes "
        f"{engine['milliseconds a frame']['latency']:.1f} ms, {engine['ratio']:.1f} × faster than PyTorch; a "
        f"1280×1024 clip becomes overlay video at {run['rtpolyp run frames/s']} frames/s, "
        f"{run['ratio']:.1f} × a plain loop's."
    )
    return "\n".join([*table(("on two cores", *bundles), rows), "", of_default]) + "\n"


def _kvasir(bundle: str) -> str:
    half = accuracy.scored(bundle, "kvasir-test")["figures"]["at_half"]
    return f"{half['dice']:.3f}{interval(half['dice_interval'])}"


def _outlined(bundle: str) -> str:
    free = accuracy.scored(bundle, "normal-test")["outlines"]["operating"]["polyp_free"]
    return accuracy.Rate(free["outlined"], free["total"]).share


ACCURACY: dict[str, Callable[[str], str]] = {
    "Dice on Kvasir-SEG's test images": _kvasir,
    "Dice on CVC-612's unseen sequences": lambda bundle: (
        f"{accuracy.scored(bundle, 'cvc-sequence-test')['macro_dice']:.3f}"
    ),
    "polyps found of 420": lambda bundle: accuracy.found(bundle).share,
    "polyp-free frames outlined of 203": _outlined,
    "network's frames/s, AMD EPYC": speed.network_alone,
}


def _short(processor: str) -> str:
    """A processor's name without what says nothing: "Intel Xeon"."""
    return processor.replace("(R)", "").removesuffix(" Processor")


def with_table(readme: str) -> str:
    """The README with the present table between its marks."""
    return MARKED.sub(lambda marks: marks[1] + readme_table() + marks[2], readme)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    README.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")

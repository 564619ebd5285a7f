"""`python -m train.prepare`: check a hospital's own folder and write the data set to train and score on."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from rtpolyp.terminal.command_line import make_app
from rtpolyp.terminal.console import make_console, progress_bar
from train.command_line import run_program
from train.prepare import Options, prepare

app = make_app("python -m train.prepare", __doc__)


@app.default
def main(
    folder: Path,
    /,
    *,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    val: float = Options.val,
    test: float = Options.test,
    seed: int = Options.seed,
    polyp_classes: Annotated[list[str] | None, Parameter(consume_multiple=True, negative="")] = None,
    unannotated_are_empty: Annotated[bool, Parameter(negative="")] = False,
    polyp_free: Annotated[bool, Parameter(negative="")] = False,
    dataset: str = "",
) -> None:
    """Check images and masks, find near-duplicates, and divide them into parts that share no patient.

    Parameters
    ----------
    folder
        images/, and masks/ or a labelling tool's files: COCO, CVAT, LabelMe or YOLO-seg, see docs/labels.md;
        groups.csv with the columns file and patient.
    out
        The data set's folder; DIR-prepared beside DIR by default.
    val
        Share of the images that choose the best weights.
    test
        Share of the images that training never sees; 0 for none.
    seed
        Draws the parts.
    polyp_classes
        Colours of the masks (white, red, yellow, green, cyan, blue, magenta) or labels of the outlines that
        are polyp; all by default.
    unannotated_are_empty
        Take images without a mask or polygon as showing no polyp; by default they are refused.
    polyp_free
        No image shows a polyp, and none needs a mask: frames for `python -m train.second_look`.
    dataset
        The folder is the unpacked archive of a public data set: kvasir-seg, hyperkvasir, cvc-clinicdb,
        polypgen, bkai, etis or cvc-colondb; its published parts are used. See docs/data.md.
    """
    resolved = folder.resolve()
    out = out or resolved.with_name(f"{resolved.name}-prepared")
    classes = frozenset(polyp_classes or ())
    options = Options(val, test, seed, classes, unannotated_are_empty, polyp_free, dataset)
    with progress_bar(make_console(), "images") as progress:
        report = prepare(folder, out, options, on_progress=progress)
    print(*report.lines(), *(f"warning: {text}" for text in report.warnings), sep="\n")
    for part in report.parts:
        if part.endswith("_train"):
            use = "give it to train.second_look" if polyp_free else "train on it"
            print(f"{use} with --data {out}:{part.removesuffix('_train')}")


if __name__ == "__main__":
    run_program(app)

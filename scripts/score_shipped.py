"""Score a bundle on the test parts, once, and log it.

python scripts/score_shipped.py [ENGINE] [--precision fp32] [--part kvasir-test] [--data ../shared/data]

A row a part and precision is appended to docs/results/test_log.csv; what is in it is refused, with exit code
2, so that nothing is retried unseen. The report of each is docs/results/eval/NAME/PART-PRECISION.json, with a
CSV of its frames beside it, as `rtpolyp eval` writes them.
"""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from rtpolyp.inference import Engine, open_engine
from rtpolyp.inference.bundle import DEFAULT_BUNDLE, load_bundle
from rtpolyp.measure.crops import CropScore, evaluate_crops, polyp_free_crops
from rtpolyp.measure.evaluation import Evaluation, evaluate_engine
from rtpolyp.measure.figure_files import append_row, write_json
from rtpolyp.measure.report import to_dict, write_csv
from rtpolyp.pipeline import settings_for
from rtpolyp.terminal.command_line import make_app, run_app
from rtpolyp.terminal.console import make_console, progress_bar, say_written
from scripts.shipped.boxes import beside_box, paint_box
from scripts.shipped.log import check_unscored, make_row, read, rows_of
from scripts.shipped.parts import PRECISIONS, Part, chosen_parts
from scripts.shipped.summary import summary

app = make_app("python scripts/score_shipped.py", __doc__)


@app.default
def main(
    engine: str = DEFAULT_BUNDLE,
    /,
    *,
    precision: Annotated[list[str] | None, Parameter(negative="")] = None,
    part: Annotated[list[str] | None, Parameter(negative="")] = None,
    data: Path = Path("../shared/data"),
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path("docs/results"),
) -> None:
    """Score, log and sum up.

    Parameters
    ----------
    engine
        A bundle's name or folder.
    precision
        fp32, bf16 or int8, repeatable; fp32 and int8 by default.
    part
        A test part, repeatable; all by default.
    data
        The folder that holds kvasir-seg, cvc-612 and extra.
    output
        Folder of test_log.csv and eval/.
    """
    parts, precisions = chosen_parts(part), precision or PRECISIONS
    spec, log = load_bundle(engine).spec, output / "test_log.csv"
    check_unscored(log, spec, [(name, chosen) for chosen in precisions for name in parts])
    console = make_console()
    folder = output / "eval" / spec.name
    folder.mkdir(parents=True, exist_ok=True)
    for chosen in precisions:
        with open_engine(engine, precision=chosen, optimise_for="throughput") as network:
            for name, test in parts.items():
                evaluation, crops = score(network, test, data, console, name)
                append_row(make_row(spec, chosen, name, evaluation, crops), log)
                if evaluation is None:
                    continue
                context = {"data": test.folder, "split": test.split, "bundle": spec.name}
                report = to_dict(evaluation, crops=crops, **context, sha256=spec.sha256)
                write_json(report, folder / f"{name}-{chosen}.json")
                write_csv(evaluation, folder / f"{name}-{chosen}.csv")
    for line in summary(rows_of(read(log), spec)):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    say_written((log, folder), console)


def score(
    engine: Engine, test: Part, data: Path, console: Console, name: str
) -> tuple[Evaluation | None, list[CropScore]]:
    """The test part's frames and polyp-free crops of them, as `rtpolyp eval` scores them.

    No frames where the part is what lies beside their position box.
    """
    pairs, spec = test.pairs(data), engine.spec
    evaluation = None
    if test.box in ("right", "above"):
        crops = beside_box(pairs, test.box)
    else:
        degrade = paint_box if test.box == "painted" else None
        with progress_bar(console, f"frames of {name}") as progress:
            evaluation = evaluate_engine(engine, pairs, degrade=degrade, progress=progress)
        scored = [frame.pair for frame in evaluation.frames]
        crops = polyp_free_crops(scored, test.crops, aspect=spec.width / spec.height) if test.crops else []
    if not crops:
        return evaluation, []
    with progress_bar(console, f"crops of {name}") as progress:
        return evaluation, evaluate_crops(engine, crops, settings_for(spec), progress=progress)


if __name__ == "__main__":
    sys.exit(run_app(app, sys.argv[1:]))

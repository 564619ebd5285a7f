"""`python -m train.export.golden`: a golden frame for a bundle that was exported before there was one.

    python -m train.export.golden engines/pranet-if

spec.json and the model card are written again; the digest of the bundle stays, for it is that of the
network's files. Run it where the bundle is known to compute what it should.
"""

from dataclasses import replace
from pathlib import Path

from rtpolyp.inference.bundle import load_bundle
from rtpolyp.measure.golden import make_golden
from rtpolyp.spec import write_spec
from rtpolyp.terminal.command_line import make_app
from train.command_line import run_program
from train.export.model_card import write_model_card

app = make_app("python -m train.export.golden", __doc__)


@app.default
def main(folder: Path, /) -> None:
    """Write golden.png and the masks that this machine's precisions make of it.

    Parameters
    ----------
    folder
        The bundle.
    """
    bundle = load_bundle(folder)
    golden = make_golden(bundle)
    write_spec(replace(bundle.spec, golden=golden), bundle.folder / "spec.json")
    write_model_card(bundle.folder)
    print(f"{folder}: golden frame with masks in {', '.join(golden['masks'])}")


if __name__ == "__main__":
    run_program(app)

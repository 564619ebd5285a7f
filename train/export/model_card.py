"""`python -m train.export.model_card`: MODEL_CARD.md, written from nothing but the bundle itself.

    python -m train.export.model_card engines/pranet-if
    python -m train.export.model_card engines/pranet-if --record kvasir-test=eval.json

The second form first stores what `rtpolyp eval --json` wrote, so that test figures stand in the spec as well.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from rtpolyp.errors import InputError
from rtpolyp.printable import as_markdown
from rtpolyp.spec import EngineSpec, read_spec, sha256_of, write_spec
from rtpolyp.terminal.command_line import make_app
from train.command_line import run_program

__all__ = ["CARD", "record", "write_model_card"]

CARD = "MODEL_CARD.md"
SPEC = "spec.json"
RECORDED = ("source", "settings", "frames", "frames_with_polyp", "frames_seen_in_training", "figures")
NO_FIGURES = (
    "None are recorded in this bundle. The figures of the bundles that ship with rtpolyp stand in its "
    "docs/results.md."
)
RECORDED_OUTLINES = ("outlines", "polyp_free_crops", "polyp_free_crop_frames")

# Folder of a data set → what it is and on which terms. A set that is not listed says so in the card.
DATA = {
    "kvasir-seg": (
        "Kvasir-SEG (Jha et al., MMM 2020), images with polyps and masks from Vestre Viken, Norway",
        "research and education only; cite the paper",
    ),
    "cvc-612": (
        "CVC-ClinicDB (Bernal et al., Comput. Med. Imaging Graph. 2015), frames of 29 sequences",
        "research and education only; cite the paper",
    ),
    "polypgen": (
        "part of PolypGen (Ali et al., Sci. Data 2023), frames of several centres, some without a polyp",
        "research only; cite the paper",
    ),
    "bkai-neopolyp": ("BKAI-IGH NeoPolyp-Small", "none stated; taken as research only"),
    "hyperkvasir-negatives": (
        "frames without a polyp of HyperKvasir (Borgli et al., Sci. Data 2020) and Kvasir (Pogorelov et al., "
        "MMSys 2017), Norway",
        "HyperKvasir CC BY 4.0, Kvasir research and education only; cite the papers",
    ),
}

TEMPLATE = """\
# {spec.name}

**Research software, not a medical device.** It has not been validated for diagnosis, and nobody may be
treated or left untreated because of what it outlines.

Outlines polyps in colonoscopy pictures: `{spec.network}` on `{spec.encoder}`.
Input: {spec.width}×{spec.height} px, uint8 BGR; output: a probability per pixel.
Runs with `rtpolyp run VIDEO --engine {spec.name}`.

## Data and terms

{data}

The weights were made from these data. They are published for research and education; whoever uses them
otherwise has to settle that with the owners of the data. No image is part of this bundle: `spec.json` holds
fingerprints of the {seen} training and validation images, so that `rtpolyp eval` can leave them out.

## How it was trained

{recipe}

## Figures on validation frames

These frames chose the weights and the operating point, so the figures flatter; test figures follow where they
have been recorded. Dice is per image at network size, mean over frames with a polyp. A polyp is found when an
outline meets it with IoU ≥ 0.3. "Recorded" are the same frames blurred, noisy and coarsely compressed, as a
stream gives them (`train/export/degrade.py`). Measured on {processor}.

{validation}

{second_look}Operating point: threshold {spec.threshold}, minimum area {spec.minimum_area} of the picture,
minimum confidence {spec.minimum_confidence}. Polyp-free pictures are {polyp_free}.

INT8 weights use 7 of 8 bits, so that processors without VNNI compute the same without saturating.
PyTorch, ONNX Runtime and OpenVINO agree: {parity}.

## Figures on test frames

{test}

## Limits

- Trained on still frames, chosen by people because they show a polyp; video holds blur, bubbles, stool,
  instruments and long stretches without any polyp, where false outlines count most.
- Few hospitals, few endoscope makers, white light almost only. Expect less on others, and measure.
- Flat and sessile serrated lesions are rare in these data; how well they are found was not measured.
- It does not classify polyps and says nothing about malignancy.

## Files

{files}
"""


def write_model_card(folder: Path) -> None:
    """Write MODEL_CARD.md of the bundle in `folder` from its spec and files."""
    spec = read_spec(folder / SPEC)
    (folder / CARD).write_text(_render(spec, folder), encoding="utf-8")


def record(folder: Path, name: str, evaluation: Path) -> None:
    """Store what `rtpolyp eval --json` wrote as test figures `name` in the spec, and rewrite the card.

    Raises InputError when the file is no such report, or scores other files than this bundle's.
    """
    try:
        report = json.loads(evaluation.read_text(encoding="utf-8"))
        kept = {key: report[key] for key in (*RECORDED, *RECORDED_OUTLINES)}
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise InputError(
            f"{evaluation}: not a report of rtpolyp eval --json ({exc!r}); make it anew"
        ) from exc
    spec = read_spec(folder / SPEC)
    if report.get("sha256") != spec.sha256:
        raise InputError(f"{evaluation}: scores another bundle than {folder}; run rtpolyp eval with this one")
    test = {**spec.metrics.get("test", {}), name: kept}
    write_spec(replace(spec, metrics={**spec.metrics, "test": test}), folder / SPEC)
    write_model_card(folder)


def _render(spec: EngineSpec, folder: Path) -> str:
    validation: Mapping[str, Any] = spec.metrics["validation"]
    return TEMPLATE.format(
        spec=spec,
        data="\n".join(_data_lines(spec.training["sources"])),
        seen=len(spec.trained_on),
        recipe="\n".join(f"- {key}: {as_markdown(_text(value))}" for key, value in spec.training.items()),
        processor=validation["processor"],
        polyp_free=validation["polyp_free"],
        validation="\n".join(_validation_table(validation["precisions"])),
        second_look=_of_second_look(validation.get("left_out_groups")),
        parity="; ".join(f"{who} {text}" for who, text in spec.metrics["parity"].items()),
        test="\n".join(_test_lines(spec.metrics.get("test", {}))) or NO_FIGURES,
        files="\n".join(_file_table(spec, folder)),
    )


def _data_lines(sources: Sequence[str]) -> Iterator[str]:
    yield from ("| data set | split | what | terms |", "|---|---|---|---|")
    for source in sources:
        folder, _, split = source.partition(":")
        what, terms = DATA.get(folder, ("not described here", "unknown: ask who made it"))
        yield f"| {as_markdown(folder)} | {as_markdown(split)} | {what} | {terms} |"


def _validation_table(precisions: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    columns = ("precision", "frames", "Dice at 0.5", "at operating point", "polyps found at 0.5", "there")
    yield f"| {' | '.join(columns)} | false outlines at 0.5 | there |"
    yield "|---" * (len(columns) + 2) + "|"
    for precision, values in precisions.items():
        for frames in ("stills", "recorded"):
            half, operating = values[frames]["half"], values[frames]["operating"]
            cells = [
                _figure(of[key], form)
                for key, form in (("dice", ".4f"), ("sensitivity", ".1%"), ("false_outlines", ".1%"))
                for of in (half, operating)
            ]
            yield f"| {precision} | {frames} | {' | '.join(cells)} |"
    yield ""
    yield "| Dice at 0.5 | " + " | ".join(precisions) + " |"
    yield "|---|" + "---|" * len(precisions)
    for source in next(iter(precisions.values()))["dice_by_source"]:
        row = (_figure(values["dice_by_source"][source], ".4f") for values in precisions.values())
        yield f"| {as_markdown(source)} | " + " | ".join(row) + " |"
    agreement = (_figure(values["agreement"], ".4f") for values in precisions.values())
    yield "| masks against FP32's | " + " | ".join(agreement) + " |"


def _of_second_look(outcomes: Mapping[str, Any] | None) -> str:
    """What the operating point gave on frames that a second look was not fitted to, or nothing."""
    if outcomes is None:
        return ""
    found = ", ".join(
        f"{of['operating']['sensitivity']:.1%} of polyps found and {of['operating']['false_outlines']:.1%} "
        f"of polyp-free frames outlined on the {view}"
        for view, of in outcomes.items()
    )
    return (
        "Its second look was fitted to these frames, so at the operating point the table flatters the more. "
        f"By second looks that were fitted to other parts of them, which also chose the point: {found}.\n\n"
    )


def _test_lines(test: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for name, report in test.items():
        frames = f"{report['frames']} frames, {report['frames_with_polyp']} with a polyp"
        yield f"### {as_markdown(name)}: {frames}"
        yield ""
        yield f"{as_markdown(report['source'])}."
        yield ""
        yield from ("| convention | Dice | IoU |", "|---|---|---|")
        for key, figure in report["figures"].items():
            yield f"| {key} | {_text(figure['dice'])} | {_text(figure['iou'])} |"
        yield ""
        for key, values in report["outlines"].items():
            found = f"{values['found']} of {values['polyps']} polyps found"
            free = values["polyp_free"]
            yield f"- {key}: {found}, {values['false_outlines']} false outlines"
            if free:
                yield f"- {key}: an outline on {free['outlined']} of {free['total']} polyp-free frames"
        for key, rates in report["polyp_free_crops"].items():
            rate = rates["all"]
            yield f"- {key}: an outline on {rate['outlined']} of {rate['total']} polyp-free crops"
        yield ""


def _file_table(spec: EngineSpec, folder: Path) -> Iterator[str]:
    yield from ("| file | bytes | SHA-256 |", "|---|---|---|")
    golden = [spec.golden["frame"]] if spec.golden else []
    for name in (*sorted(spec.sha256), *golden, SPEC):
        path = folder / name
        yield f"| {name} | {path.stat().st_size:,} | `{sha256_of(path)}` |"
    if golden:
        yield ""
        yield f"`{golden[0]}` shows a phantom that a program drew, no patient. `spec.json` holds its mask in"
        yield "each precision, with which `rtpolyp doctor` compares what a machine makes of it."


def _figure(value: float | None, form: str) -> str:
    """A figure, or a dash where there was nothing to measure."""
    return "–" if value is None or not math.isfinite(value) else format(value, form)


def _text(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_text(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        nested = (f"({_text(item)})" if isinstance(item, (list, tuple)) else _text(item) for item in value)
        return ", ".join(nested)
    return _figure(value, ".4g") if value is None or isinstance(value, float) else str(value)


app = make_app("python -m train.export.model_card", __doc__)


@app.default
def main(
    folder: Path, /, *, record_as: Annotated[list[str] | None, Parameter(name="--record")] = None
) -> None:
    """Write the model card of a bundle, after recording test figures.

    Parameters
    ----------
    folder
        The bundle.
    record_as
        NAME=FILE, repeatable: a report of `rtpolyp eval --json` and the name of its row.
    """
    for text in record_as or ():
        name, _, file = text.partition("=")
        record(folder, name, Path(file))
    write_model_card(folder)


if __name__ == "__main__":
    run_program(app)

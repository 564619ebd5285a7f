"""How the training sources' frames look, for the spec: what a stream is compared with while it runs.

    python -m train.export.appearance engines/pranet-if --data ../shared/data/kvasir-seg:paper80-10-10 …

writes it into the spec.json of a bundle that has none, and the model card, which lists that file, again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
from cyclopts import Parameter

from rtpolyp.imaging.appearance import TRAITS, measure_appearance
from rtpolyp.imaging.preprocess import resize_frame
from rtpolyp.imaging.training_sources import TrainingSources
from rtpolyp.inference.bundle import Bundle, load_bundle
from rtpolyp.inference.engine import Engine
from rtpolyp.inference.openvino import OpenVinoEngine
from rtpolyp.measure.evaluation import predict, read_cropped
from rtpolyp.spec import write_spec
from rtpolyp.terminal.command_line import make_app
from train.command_line import run_program
from train.data import Source, parse_source
from train.export.degrade import as_recorded
from train.export.model_card import write_model_card

app = make_app("python -m train.export.appearance", __doc__, help_format="plaintext")

__all__ = ["Measured", "describe_sources", "fit_sources", "measure_source"]

FRAMES = 400  # of a source that are measured, so that an export takes a minute longer and not ten
BORROWED = 40  # frames' weight of all sources' mean covariance in each one's own, for sources of few frames
FOLDS = 5  # of groups, each measured against what the others say
SMALLEST = 0.01  # standard deviation added to every trait, so that no direction is without one
PASSING = 0.995  # share of left-out frames within the limit


@app.default
def main(
    bundle: Path,
    /,
    *,
    data: Annotated[list[str], Parameter(consume_multiple=False, negative="")],
    seed: int = 0,
) -> None:
    """Write the statistics of a bundle's training sources into its spec.json.

    Parameters
    ----------
    bundle
        The bundle's folder.
    data
        DIR[:SPLIT], repeatable: the data sets that it was trained on.
    seed
        Chooses the frames, and what is left out for the limit.
    """
    loaded = load_bundle(bundle)
    sources = [parse_source(text) for text in data]
    known = describe_sources(loaded, sources, seed)
    write_spec(replace(loaded.spec, appearance=known.to_dict()), loaded.folder / "spec.json")
    write_model_card(loaded.folder)
    print(f"{bundle}: {sum(known.frames)} frames of {len(known.names)} sources, limit {known.limit:.2f}")


@dataclass(frozen=True)
class Measured:
    """The traits of frames of one source."""

    name: str
    traits: np.ndarray  # (F, T) float64
    groups: tuple[str, ...]  # (F,) frames of one group resemble each other


def describe_sources(bundle: Bundle, sources: Sequence[Source], seed: int) -> TrainingSources:
    """Measure the train parts of all sources, and the limit that left-out groups of theirs keep to."""
    rng = np.random.default_rng(seed)
    with OpenVinoEngine(bundle, optimise_for="throughput") as engine:
        measured = [measure_source(engine, source, rng) for source in sources]
    return fit_sources(measured, rng)


def measure_source(engine: Engine, source: Source, rng: np.random.Generator) -> Measured:
    """Measure up to FRAMES train frames as a stream shows them: cut to the picture, half of them recorded."""
    pairs = source.pairs("train")
    pairs = [pairs[index] for index in rng.permutation(len(pairs))[:FRAMES]]

    def frames() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for index, pair in enumerate(pairs):
            frame = resize_frame(read_cropped(pair, "auto")[0], engine.spec)
            frame = as_recorded(frame, rng) if index % 2 else frame
            yield frame, frame

    rows = [measure_appearance(frame, probability) for frame, probability in predict(engine, frames())]
    return Measured(source.name, np.array(rows).reshape(-1, len(TRAITS)), tuple(pair.group for pair in pairs))


def fit_sources(measured: Sequence[Measured], rng: np.random.Generator) -> TrainingSources:
    """Mean and covariance of each source, and as limit what PASSING of left-out frames keep to.

    Left-out means: no frame of the same group was in the statistics that the frame is compared with.
    """
    folds = [_folds(one.groups, rng) for one in measured]
    left_out = []
    for fold in range(FOLDS):
        kept = [one.traits[parts != fold] for one, parts in zip(measured, folds, strict=True)]
        known = _fit([one.name for one in measured], kept)
        for one, parts in zip(measured, folds, strict=True):
            left_out.append(known.distances(one.traits[parts == fold]).min(axis=1))
    limit = float(np.quantile(np.concatenate(left_out), PASSING))
    known = _fit([one.name for one in measured], [one.traits for one in measured])
    return TrainingSources(known.names, known.frames, known.means, known.covariances, limit)


def _folds(groups: Sequence[str], rng: np.random.Generator) -> np.ndarray:
    _, members = np.unique(groups, return_inverse=True)
    return (rng.permutation(members.max() + 1) % FOLDS)[members]


def _fit(names: Sequence[str], traits: Sequence[np.ndarray]) -> TrainingSources:
    """Statistics of those sources that have frames."""
    known = [(name, one) for name, one in zip(names, traits, strict=True) if len(one)]
    counts = np.array([len(one) for _, one in known])
    means = np.stack([one.mean(axis=0) for _, one in known])
    own = np.stack([(one - mean).T @ (one - mean) for (_, one), mean in zip(known, means, strict=True)])
    common = own.sum(axis=0) / counts.sum() + SMALLEST**2 * np.eye(means.shape[1])
    covariances = (own + BORROWED * common) / (counts + BORROWED)[:, np.newaxis, np.newaxis]
    return TrainingSources(
        tuple(name for name, _ in known), tuple(map(int, counts)), means, covariances, np.inf
    )


if __name__ == "__main__":
    run_program(app)

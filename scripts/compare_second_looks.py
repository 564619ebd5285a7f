"""What each part of the second look brings, on outlines that none of the looks was fitted to.

python scripts/compare_second_looks.py [--data ../shared/data] [-o docs/results/second-look.json]

A look is fitted with one part left out: what lies around the outlines, the polyp-free train frames that are
new to the network, or the hidden layer; or logits are scaled by the fourth root of its verdict. It is
judged by the share of the polyps' outlines that stay where a tenth of the normal frames keep one: on groups
of validation frames that it was not fitted to, and on the polyps of a source that it was not fitted to, each
source in turn. The normal validation frames, which set the bar, are left out of the latter fits too.
Then looks are fitted with so many of the new train frames and no normal validation frame: how many normal
frames of a hospital a second look wants. Each count is the mean of three draws of frames. Intervals are of
1,000 draws of groups.
"""

import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from cyclopts import Parameter
from numpy.typing import NDArray
from torch.nn import functional as F

from rtpolyp.inference.bundle import DEFAULT_BUNDLE
from rtpolyp.measure.figure_files import write_json
from rtpolyp.terminal.command_line import make_app, run_app
from train.checkpoint import load_network
from train.data import load_frames, parse_source
from train.initial import load_initial
from train.networks.pranet import PraNetIF
from train.second_look.fit import FOLDS, Outlines, fitted, folds_of, joined, outlines_of
from train.second_look.views import unseen_of, views_of

SOURCES = (
    "kvasir-seg:paper80-10-10", "cvc-612:sequence80-10-10", "extra/polypgen:polypgen",
    "extra/polypgen:negatives", "extra/bkai-neopolyp:bkai-neopolyp",
    "extra/hyperkvasir-negatives:hyperkvasir-negatives",
)  # fmt: skip
WITH_POLYPS, NORMAL = (0, 1, 2, 4), 5  # of SOURCES
OUTLINED = 0.1  # of the normal frames
RESAMPLES = 1000
COUNTS, DRAWS = (0, 50, 100, 200, 400), 3  # of polyp-free train frames that are new to the network, and all
PENALTY = 0.01  # of the squared weights of standardised features, without a hidden layer

WHOLE, ROOT, NO_RING, NO_UNSEEN, NO_HIDDEN, NO_LOOK = (
    "as shipped", "by the fourth root of its verdict", "without what lies around",
    "without unseen train frames", "without a hidden layer", "by the mean probability alone",
)  # fmt: skip

Presence = NDArray[np.float64]  # (K) of the stills' outlines, from 0 to 1

app = make_app("python scripts/compare_second_looks.py", __doc__, help_format="plaintext")


class Evidence:
    """The outlines of all views; `fold` of each is the index of its frame."""

    def __init__(self, engine: str, data: Path, side: int):
        base = load_initial(engine)
        network = load_network(base)
        assert isinstance(network, PraNetIF)
        sources = [parse_source(str(data / text)) for text in SOURCES]
        frames, unseen = load_frames(sources, "val", side), unseen_of(base, sources, side)
        groups = [f"{source.folder} {pair.group}" for source in sources for pair in source.pairs("val")]
        self.folds, self.source = folds_of(groups), frames.source_index
        self.groups = np.unique(groups, return_inverse=True)[1]
        views, more = (
            [outlines_of(network, base, view, np.arange(len(part))) for view in views_of(part)]
            for part in (frames, unseen)
        )
        self.stills, self.known, self.unseen = views[0], joined(views), joined(more)
        self.new = len(unseen)  # polyp-free train frames

    def scale(self, variant: str, fitted_to: NDArray[np.bool_], unseen: Outlines | None = None) -> Presence:
        """What the logits of the stills' outlines are scaled by, after a fit to those on some frames (F), and
        to `unseen` in place of all on train frames."""
        if variant == NO_LOOK:
            return np.ones(len(self.stills.is_polyp))
        width = self.stills.features.shape[1] // (2 if variant == NO_RING else 1)
        parts = [_on(fitted_to, self.known)] + ([] if variant == NO_UNSEEN else [unseen or self.unseen])
        outlines = joined(parts)
        fit = _linear if variant == NO_HIDDEN else fitted
        look = fit(_tensor(outlines, width), torch.from_numpy(outlines.is_polyp))
        with torch.no_grad():
            presence = torch.sigmoid(look(_tensor(self.stills, width)).double()).numpy()
        return presence ** (0.25 if variant == ROOT else 1.0)

    def scale_by_groups(
        self, variant: str, fitted_to: NDArray[np.bool_], unseen: Outlines | None = None
    ) -> Presence:
        """The same, each fold of groups after a fit to those of the frames (F) that lie in the others."""
        scale = np.empty(len(self.stills.is_polyp))
        for fold in range(FOLDS):
            inside = self.folds[self.stills.fold] == fold
            scale[inside] = self.scale(variant, fitted_to & (self.folds != fold), unseen)[inside]
        return scale

    def kept(self, scale: Presence, polyps_of: NDArray[np.bool_], times: NDArray[np.int64]) -> float:
        """The share of the polyps' outlines, on some of the frames (F), that stay, each `times` (F)."""
        sure = (self.stills.confidence - 0.5) * scale
        surest = np.zeros(len(self.source))
        np.maximum.at(surest, self.stills.fold, sure)
        normal = np.sort(np.repeat(surest, times * (self.source == NORMAL)))
        least = normal[len(normal) - 1 - round(OUTLINED * len(normal))]
        weight = times[self.stills.fold] * (self.stills.is_polyp & polyps_of[self.stills.fold])
        return float((weight * (sure > least)).sum() / weight.sum())

    def draws(self) -> list[NDArray[np.int64]]:
        """How often each frame (F) is there when the groups of each source are drawn again."""
        rng = np.random.default_rng(0)
        homes = [np.unique(self.groups[self.source == one]) for one in range(len(SOURCES))]
        draws = []
        for _ in range(RESAMPLES):
            drawn = np.concatenate([rng.choice(home, len(home)) for home in homes])
            draws.append(np.bincount(drawn, minlength=self.groups.max() + 1)[self.groups])
        return draws


def _on(frames: NDArray[np.bool_], outlines: Outlines) -> Outlines:
    inside = frames[outlines.fold]
    return Outlines(*(getattr(outlines, field.name)[inside] for field in fields(Outlines)))


def _tensor(outlines: Outlines, width: int) -> torch.Tensor:
    return torch.from_numpy(outlines.features[:, :width].copy())


def _linear(features: torch.Tensor, is_polyp: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """A logistic regression in which both kinds weigh alike."""
    mean, spread = features.mean(0), features.std(0).clamp(min=1e-6)
    standard, truth = (features - mean) / spread, is_polyp.float()
    balance = torch.where(is_polyp, 0.5 / truth.mean(), 0.5 / (1 - truth).mean())
    weight, bias = torch.zeros(features.shape[1], requires_grad=True), torch.zeros(1, requires_grad=True)
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=200, line_search_fn="strong_wolfe")

    def step() -> torch.Tensor:
        optimiser.zero_grad()
        loss = F.binary_cross_entropy_with_logits(standard @ weight + bias, truth, weight=balance)
        loss = loss + PENALTY * (weight**2).sum() / 2
        loss.backward()
        return loss

    optimiser.step(step)
    return lambda x: ((x - mean) / spread) @ weight.detach() + bias.detach()


def score(evidence: Evidence, variant: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Shares kept, of all frames and of each draw (1 + RESAMPLES): by other groups, and by other sources."""
    times = [np.ones(len(evidence.source), np.int64), *evidence.draws()]
    everywhere = np.ones(len(evidence.source), bool)
    by_groups = evidence.scale_by_groups(variant, everywhere)
    of_groups = np.array([evidence.kept(by_groups, everywhere, one) for one in times])
    of_sources = []
    for source in WITH_POLYPS:  # the normal frames decide what is kept, so no look may know them
        same = [place for place, text in enumerate(SOURCES) if _folder(text) == _folder(SOURCES[source])]
        scale = evidence.scale(variant, ~np.isin(evidence.source, (*same, NORMAL)))
        of_sources.append([evidence.kept(scale, evidence.source == source, one) for one in times])
    return of_groups, np.mean(of_sources, axis=0)


def score_count(evidence: Evidence, count: int) -> NDArray[np.float64]:
    """Shares kept, of all frames and of each draw of groups, by looks that know `count` normal frames."""
    times = [np.ones(len(evidence.source), np.int64), *evidence.draws()]
    everywhere = np.ones(len(evidence.source), bool)
    kept = []
    for draw in range(DRAWS if count < evidence.new else 1):
        known = np.zeros(evidence.new, bool)
        known[np.random.default_rng(draw).permutation(evidence.new)[:count]] = True
        unseen = _on(known, evidence.unseen)
        scale = evidence.scale_by_groups(WHOLE, evidence.source != NORMAL, unseen)
        kept.append([evidence.kept(scale, everywhere, one) for one in times])
    return np.mean(kept, axis=0)


def _folder(text: str) -> str:
    """Of DIR:SPLIT; one folder's splits are one hospital's."""
    return text.partition(":")[0]


def _figures(shares: NDArray[np.float64], whole: NDArray[np.float64]) -> dict[str, Any]:
    """A share, and the difference to that of the whole look, each with its interval."""
    return {"kept": _figure(shares), "difference": _figure(shares - whole)}


def _figure(values: NDArray[np.float64]) -> list[float]:
    return [round(float(one), 4) for one in (values[0], *np.quantile(values[1:], (0.025, 0.975)))]


@app.default
def main(
    *,
    engine: str = DEFAULT_BUNDLE,
    data: Path = Path("../shared/data"),
    side: int = 288,
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path("docs/results/second-look.json"),
) -> None:
    """Fit all looks and compare them.

    Parameters
    ----------
    engine
        A bundle of pranet-if, whose own second look is left out.
    data
        The folder that holds the data sets.
    side
        Of the frames, in pixels.
    output
        The report.
    """
    evidence = Evidence(engine, data, side)
    report: dict[str, Any] = {"command": "python scripts/compare_second_looks.py", "engine": engine}
    whole: tuple[NDArray[np.float64], ...] = ()
    for variant in (WHOLE, ROOT, NO_RING, NO_UNSEEN, NO_HIDDEN, NO_LOOK):
        found = score(evidence, variant)
        whole = whole or found
        names = ("other groups", "other sources")
        report[variant] = {name: _figures(*both) for name, *both in zip(names, found, whole, strict=True)}
        print(variant, report[variant], flush=True)
    report["normal frames in the fit"] = {}
    for count in (*COUNTS, evidence.new):
        report["normal frames in the fit"][str(count)] = _figure(score_count(evidence, count))
        print(count, report["normal frames in the fit"][str(count)], flush=True)
    write_json(report, output)


if __name__ == "__main__":
    sys.exit(run_app(app, sys.argv[1:]))

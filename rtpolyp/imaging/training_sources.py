"""TrainingSources: how the frames look that a network was trained on, and how unlike them others are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from rtpolyp.imaging.appearance import TRAITS

__all__ = ["TrainingSources"]

BEYOND = 2.0  # standard deviations from every source's mean that a single trait must lie for it to be named
NAMED = 3  # traits at most in one sentence


@dataclass(frozen=True)
class TrainingSources:
    """Mean and covariance of the TRAITS of each source's frames, and how far a stream's may lie from them.

    Distances are Mahalanobis': 1 is one standard deviation in any direction.
    """

    names: tuple[str, ...]  # (S,) e.g. "kvasir-seg:paper80-10-10"
    frames: tuple[int, ...]  # (S,) that were measured
    means: NDArray[np.float64]  # (S, T)
    covariances: NDArray[np.float64]  # (S, T, T), positive definite
    limit: float  # distance from the nearest source up to which a stream is like it

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self | None:
        """Read the field `appearance` of a spec; None where it is empty or measured by other traits."""
        if values.get("traits") != [trait.name for trait in TRAITS]:
            return None
        sources = values["sources"]
        return cls(
            tuple(sources),
            tuple(one["frames"] for one in sources.values()),
            np.array([one["mean"] for one in sources.values()], np.float64),
            np.array([one["covariance"] for one in sources.values()], np.float64),
            float(values["limit"]),
        )

    def to_dict(self) -> dict[str, Any]:
        """Give what `of` reads, rounded to eight digits."""

        def rounded(values: NDArray[np.float64]) -> Any:
            return np.vectorize(lambda value: float(f"{value:.8g}"), otypes=[float])(values).tolist()

        sources = zip(self.names, self.frames, self.means, self.covariances, strict=True)
        return {
            "traits": [trait.name for trait in TRAITS],
            "limit": round(self.limit, 3),
            "sources": {
                name: {"frames": frames, "mean": rounded(mean), "covariance": rounded(covariance)}
                for name, frames, mean, covariance in sources
            },
        }

    def distances(self, traits: NDArray[np.float64]) -> NDArray[np.float64]:
        """The distance `(..., S)` of traits `(..., T)` from each source."""
        away = np.asarray(traits)[..., np.newaxis, :] - self.means
        solved = np.linalg.solve(self.covariances, away[..., np.newaxis])[..., 0]
        return np.asarray(np.sqrt(np.maximum(0, (away * solved).sum(axis=-1))))

    def difference(self, traits: NDArray[np.float64]) -> str | None:
        """How traits `(T,)` are unlike every source: "redder than any …"; None where they are like one."""
        distances = self.distances(traits)
        nearest = int(distances.argmin())
        if distances[nearest] <= self.limit:
            return None
        deviations = (traits - self.means) / np.sqrt(np.diagonal(self.covariances, axis1=1, axis2=2))
        # Of the source that is nearest by this trait alone; 0 where the sources lie on both sides.
        one_sided = np.where((deviations > 0).all(0), deviations.min(0), np.minimum(0, deviations.max(0)))
        words = [
            TRAITS[index].more if one_sided[index] > 0 else TRAITS[index].less
            for index in np.argsort(-np.abs(one_sided))[:NAMED]
            if abs(one_sided[index]) > BEYOND
        ]
        if words:
            return f"{_listed(words)} than any training source"
        oddest = np.argsort(-np.abs(deviations[nearest]))[:2]
        names = " and ".join(TRAITS[index].name for index in sorted(oddest))
        return f"its {names} are together as in no training source"


def _listed(words: Sequence[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last

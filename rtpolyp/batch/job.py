"""Job, Video, Division and Step: what the workers of a batch are told."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import PurePosixPath
from typing import Any, Literal

from rtpolyp.checks import require_number
from rtpolyp.errors import InputError
from rtpolyp.imaging.picture import Crop
from rtpolyp.inference.backend import AUTO
from rtpolyp.inference.backends import BACKENDS
from rtpolyp.inference.isolated.engine import EngineRecipe
from rtpolyp.pipeline import settings_for
from rtpolyp.settings import Settings, Style
from rtpolyp.spec import EngineSpec
from rtpolyp.tracking.tracker import MEMORY_MS
from rtpolyp.video.input_options import InputOptions

__all__ = ["Chunk", "Division", "Job", "Step", "Video", "recipe_like"]

CHUNK_SECONDS = 60.0
WARM_UP_SECONDS = 2.0  # before a chunk, analysed and thrown away: twice what tracking remembers
ONE_THREAD = EngineRecipe(threads=1, optimise_for="throughput")
USUAL = InputOptions()
assert 1000 * WARM_UP_SECONDS > MEMORY_MS


@dataclass(frozen=True)
class Job:
    """What is asked for, the same for all videos; raises InputError for a chunk that is no time."""

    out: str  # folder or URI
    recipe: EngineRecipe = ONE_THREAD
    threshold: float | None = None  # the bundle's own by default
    style: Style = "outline"  # of the overlays
    crop: Crop = "auto"
    options: InputOptions = USUAL
    overlay: bool = False  # write videos with the outlines
    coco: bool = False  # write COCO files
    pages: bool = True  # write a web page a video
    chunk_seconds: float = CHUNK_SECONDS

    def __post_init__(self) -> None:
        if self.recipe.threads is not None:
            require_number("threads", self.recipe.threads, least=1, example="processors, e.g. 1")
        require_number("chunk_seconds", self.chunk_seconds, above=0, example="seconds, e.g. 60")

    def settings(self, spec: EngineSpec) -> Settings:
        """The bundle's settings with what was asked for."""
        return settings_for(spec, threshold=self.threshold, style=self.style)


@dataclass(frozen=True)
class Video:
    """One video of the sources; raises InputError for a name that leads out of where outputs go."""

    name: str  # its path within its source, unique in a batch; outputs are called after it
    address: str  # a path, or a URI
    size_bytes: int
    modified: str  # of the file, as its file system says

    def __post_init__(self) -> None:
        if ".." in PurePosixPath(self.name.replace("\\", "/")).parts:  # an object store takes any name
            raise InputError(f"{self.name}: a name that leads out of its folder; rename the video")

    def fingerprint(self, chunk_seconds: float) -> str:
        """Sixteen letters that change with the file and with how it is cut."""
        text = f"{self.size_bytes} {self.modified} {chunk_seconds}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Chunk:
    """A stretch of a video; pts in ticks, as frames have them."""

    warm_up: int  # pts from which frames are analysed
    start: int  # pts from which their results count
    end: int | None  # pts of the next chunk; None for the last


@dataclass(frozen=True)
class Division:
    """How one video is divided among workers."""

    video: Video
    chunks: tuple[Chunk, ...]  # one without cuts where the file cannot be cut
    zero: int  # VideoFile.zero
    time_base: Fraction  # seconds a tick
    crop: Crop  # "off" or the endoscope's picture, found once for all chunks
    header: Mapping[str, Any]  # as the first line of a run's JSON
    frames: int  # expected, for the progress


@dataclass(frozen=True)
class Step:
    """One piece of work for one worker."""

    kind: Literal["divide", "chunk", "finish"]
    video: Video
    division: Division | None = None  # of the other two kinds
    chunk: int = 0  # its number in the division


def recipe_like(recipe: EngineRecipe, known: Mapping[str, str]) -> EngineRecipe:
    """The recipe with another worker's backend and precision, as `Worker.open` names them, where it has none.

    What is fastest differs between machines, and rows of two arithmetics must not stand side by side.
    """
    backend, precision = recipe.backend, recipe.precision
    if backend == AUTO and known["backend"] in BACKENDS:
        backend = known["backend"]
    return replace(recipe, backend=backend, precision=known["precision"] if precision == AUTO else precision)

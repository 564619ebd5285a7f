"""What `rtpolyp suggest` writes is a folder that `prepare` reads."""

from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtpolyp.suggest import suggest_frames
from rtpolyp.suggest.survey import Networks
from tests.runtime.clips import Clip, make_clip
from tests.runtime.red_disc import SPEC, textured_disc
from tests.runtime.stub_engine import StubEngine
from train.prepare import Options, prepare


def another_ground(seed: int, index: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    return textured_disc(seed + index % 2, size)


def test_suggested_frames_are_prepared_and_grouped_by_video(tmp_path: Path) -> None:
    videos = []
    for number in range(3):
        grounds = partial(another_ground, 10 * number)
        videos.append(str(make_clip(tmp_path / f"{number}.mp4", Clip((160, 128), 4), grounds)))
    with StubEngine(SPEC) as first, StubEngine(replace(SPEC, name="strict", threshold=0.95)) as second:
        suggestion = suggest_frames(
            videos,
            tmp_path / "suggested",
            Networks(first, second),
            count=3,
            follow=lambda name: nullcontext(lambda done, total: None),
        )
    report = prepare(tmp_path / "suggested", tmp_path / "data", Options())
    assert report.grouped_by == "patient"
    assert report.images == suggestion.frames == 3

"""Each planted defect is found by the figure that it belongs to, and the pipeline as it ships has none."""

import dataclasses
import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from rtpolyp import pipeline
from rtpolyp.errors import InputError
from rtpolyp.settings import Settings
from rtpolyp.verify.before_encoding import run_watched
from rtpolyp.verify.counter import SMALLEST_WIDTH, draw_counter
from rtpolyp.verify.figure import Figure
from rtpolyp.verify.recording import check_recording, read_results
from tests.runtime.clips import Clip, make_clip
from tests.runtime.red_disc import SPEC, disc
from tests.runtime.stub_engine import StubEngine

SIZE = (SMALLEST_WIDTH, 96)
SETTINGS = Settings(threshold=0.5, minimum_area=0.001, minimum_confidence=0.0)
FRAMES = 30


def counted(index: int, size: tuple[int, int]) -> np.ndarray:
    """The disc on its way, below a counter."""
    bgr = disc(index, size)
    draw_counter(bgr, index)
    return bgr


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", Clip(size=SIZE, frames=FRAMES), counted)


def run(clip: Path, folder: Path) -> dict[str, Figure]:
    """All figures of a run as it ships, or as a test has changed it."""
    recording, results = folder / "recording.mp4", folder / "results.jsonl"
    with StubEngine(SPEC) as engine:
        figures = run_watched(clip, recording, results, engine, SETTINGS)
    return by_name([*figures, *check_recording(clip, recording, results, truths=masks())])


def compare(folder: Path, ours: Clip, theirs: Clip, draw=counted) -> dict[str, Figure]:
    """The figures of a recording of `theirs` that was made of a clip of `ours`, without any outline."""
    clip = make_clip(folder / "clip.mp4", ours, draw)
    return recorded(folder, clip, make_clip(folder / "recording.mp4", theirs, draw))


def recorded(folder: Path, clip: Path, recording: Path) -> dict[str, Figure]:
    header = {"schema": 1, "size": SIZE, "settings": dataclasses.asdict(SETTINGS)}
    (folder / "results.jsonl").write_text(json.dumps(header) + "\n")
    return by_name(check_recording(clip, recording, folder / "results.jsonl"))


def by_name(figures: list[Figure]) -> dict[str, Figure]:
    return {one.name: one for one in figures}


def masks() -> list[np.ndarray]:
    """Where the disc is, packed."""
    return [np.packbits((disc(index, SIZE) == (60, 60, 230)).all(axis=2)) for index in range(FRAMES)]


def failed(figures: dict[str, Figure]) -> set[str]:
    return {name for name, one in figures.items() if one.passed is False}


def test_the_pipeline_as_it_ships_keeps_every_limit(clip: Path, tmp_path: Path):
    figures = run(clip, tmp_path)
    assert failed(figures) == set()
    assert figures["changed_samples"].sample == f"{FRAMES} frames"
    assert figures["mark_lag"].value == figures["mark_offset"].value == figures["dropped"].value == 0
    assert figures["psnr"].value > 40
    assert 0.9 < figures["ssim"].value < 1
    assert 0.5 < figures["vif"].value < 1
    assert figures["unmarked"].value == 0
    assert figures["mark_onset"].value <= 40


def test_an_overlay_one_pixel_off(clip: Path, tmp_path: Path, monkeypatch):
    def shifted(planes, polyps, settings, **how):
        moved = [dataclasses.replace(one, contour=one.contour + np.float32([1, 0])) for one in polyps]
        draw_overlay(planes, moved, settings, **how)

    draw_overlay = pipeline.draw_overlay
    monkeypatch.setattr(pipeline, "draw_overlay", shifted)
    figures = run(clip, tmp_path)
    assert figures["mark_offset"].value == 1
    assert failed(figures) == {"mark_offset"}


def test_marks_two_frames_behind_their_picture(clip: Path, tmp_path: Path, monkeypatch):
    seen = []

    def late(result, settings):
        seen.append(result.segmentation)
        return draw(result._replace(segmentation=seen[max(0, len(seen) - 3)]), settings)

    draw = pipeline.draw
    monkeypatch.setattr("rtpolyp.run.draw", late)
    figures = run(clip, tmp_path)
    assert figures["mark_lag"].value == 2
    assert figures["mark_lag_ms"].value == pytest.approx(80)
    assert {"mark_lag", "mark_lag_ms"} <= failed(figures)


def test_a_picture_two_frames_late(tmp_path: Path):
    plain = Clip(size=SIZE, frames=FRAMES)
    late = dataclasses.replace(plain, start=2 * 512)  # of 1/12,800 s
    figures = compare(tmp_path, plain, late)
    assert figures["timestamp_error"].value == pytest.approx(80, abs=1)
    assert failed(figures) == {"timestamp_error"}


def test_a_frame_dropped_in_a_thousand(tmp_path: Path):
    clip = make_clip(tmp_path / "clip.mp4", Clip(size=SIZE, frames=1000), moving)
    rest = [index for index in range(1000) if index != 700]
    shown = Clip(size=SIZE, frames=999, pts=[512 * index for index in rest])
    recording = make_clip(tmp_path / "recording.mp4", shown, lambda index, size: moving(rest[index], size))
    figures = recorded(tmp_path, clip, recording)
    assert figures["dropped"].value == 1
    assert failed(figures) == {"dropped"}


@pytest.mark.parametrize("left_out", [0, FRAMES - 1])
def test_the_first_or_the_last_frame_dropped(clip: Path, tmp_path: Path, left_out: int):
    rest = [index for index in range(FRAMES) if index != left_out]
    shown = Clip(size=SIZE, frames=FRAMES - 1, pts=[512 * index for index in rest])
    recording = make_clip(tmp_path / "recording.mp4", shown, lambda index, size: counted(rest[index], size))
    assert failed(recorded(tmp_path, clip, recording)) == {"dropped"}


def test_a_frame_shown_twice(tmp_path: Path):
    plain = Clip(size=SIZE, frames=FRAMES)
    clip = make_clip(tmp_path / "clip.mp4", plain, moving)
    twice = lambda index, size: moving(index - (index > 10), size)  # noqa: E731
    figures = recorded(tmp_path, clip, make_clip(tmp_path / "recording.mp4", plain, twice))
    assert figures["repeated"].value == 1
    assert figures["dropped"].value == 1  # the last one has no place any more
    assert {"repeated", "dropped"} <= failed(figures)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"matrix": 1, "colour_range": 2}, {"matrix": 1, "colour_range": 1}),
        ({"matrix": 1, "colour_range": 1}, {"matrix": 6, "colour_range": 1}),
    ],
    ids=["full range taken for limited", "a colour matrix swapped"],
)
def test_colours_taken_for_others(tmp_path: Path, ours: dict[str, int], theirs: dict[str, int]):
    """The recording has the clip's samples, with other tags."""
    clip = make_clip(tmp_path / "clip.mp4", Clip(size=SIZE, frames=5, **ours), counted)
    recording = make_clip(tmp_path / "recording.mp4", Clip(size=SIZE, frames=5, **ours), counted)
    retag(recording, theirs)
    figures = recorded(tmp_path, clip, recording)
    assert figures["colour_tags"].value == 1
    assert {"colour_tags", "colour_error"} <= failed(figures)


def test_samples_of_another_matrix_below_the_right_tags(tmp_path: Path):
    pictures = {"size": SIZE, "frames": 5, "colour_range": 1}
    clip = make_clip(tmp_path / "clip.mp4", Clip(matrix=1, **pictures), counted)
    recording = make_clip(tmp_path / "recording.mp4", Clip(matrix=6, **pictures), counted)
    retag(recording, {"matrix": 1, "colour_range": 1})
    figures = recorded(tmp_path, clip, recording)
    assert failed(figures) == {"colour_error"}


def test_29_97_written_as_30(tmp_path: Path):
    true = Clip(size=SIZE, frames=90, rate=Fraction(30000, 1001), time_base=Fraction(1, 30000))
    figures = compare(tmp_path, true, dataclasses.replace(true, rate=Fraction(30)), moving)
    assert figures["rate_error"].value == pytest.approx(1000, rel=0.01)
    assert figures["timestamp_error"].value == pytest.approx(89 * 1001 / 30 - 89 * 1000 / 30, abs=0.2)
    assert failed(figures) == {"rate_error", "timestamp_error"}


def test_results_of_something_else(clip: Path, tmp_path: Path):
    (tmp_path / "images.jsonl").write_text('{"schema": 1, "settings": {}}\n')
    with pytest.raises(InputError, match="line 1 has no settings of a run"):
        read_results(tmp_path / "images.jsonl")
    header = {"schema": 1, "size": None, "settings": dataclasses.asdict(SETTINGS)}
    (tmp_path / "images.jsonl").write_text(json.dumps(header) + "\n")
    with pytest.raises(InputError, match="is of no video"):
        read_results(tmp_path / "images.jsonl")


def moving(index: int, size: tuple[int, int]) -> np.ndarray:
    """Without a counter, and never the same twice within a second."""
    bgr = disc(0, size)
    bgr[:, (7 * index) % size[0] :][:, :12] = (90, 40, 60)
    bgr[(5 * index) % size[1] :][:8] = (40, 90, 60)
    return bgr


def retag(path: Path, tags: dict[str, int]) -> None:
    """Change the colour box of an MP4, and of its H.264 stream, and not a sample."""
    import av

    source = path.rename(path.with_suffix(".before.mp4"))
    bits = f"matrix_coefficients={tags['matrix']}:video_full_range_flag={tags['colour_range'] - 1}"
    with av.open(source) as container, av.open(path, "w") as out:
        video = container.streams.video[0]
        changed = av.BitStreamFilterContext(
            f"h264_metadata={bits}", video, out.add_stream_from_template(video)
        )
        for packet in container.demux(video):
            if packet.dts is not None:
                for one in changed.filter(packet):
                    one.stream = out.streams.video[0]
                    out.mux(one)

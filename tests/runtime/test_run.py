"""run_file and run_live as a program calls them."""

import json
from pathlib import Path

import pytest

from rtpolyp.errors import InputError
from rtpolyp.inference.bundle import load_bundle
from rtpolyp.inference.isolated.engine import EngineRecipe
from rtpolyp.live_run import run_live
from rtpolyp.run import RunInterrupted, run_file
from rtpolyp.settings import Settings
from rtpolyp.video.outputs import Outputs
from rtpolyp.video.source import open_source
from tests.runtime.red_disc import SPEC, disc_clip
from tests.runtime.stub_engine import StubEngine
from tests.runtime.tiny_bundle import write_tiny_bundle

FRAMES = 8
SETTINGS = Settings(threshold=0.5, minimum_area=0.001, minimum_confidence=0.0)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return disc_clip(tmp_path_factory.mktemp("clips") / "disc.mp4", frames=FRAMES, rate=10)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


def test_a_file_is_run_from_its_path_and_a_bundle(clip, bundle, tmp_path):
    outputs = Outputs(video=tmp_path / "out.mp4", json=tmp_path / "out.jsonl", masks=tmp_path / "masks")
    told = []
    recipe = EngineRecipe(bundle, precision="fp32")
    summary = run_file(clip, outputs, model=recipe, on_progress=lambda *counts: told.append(counts))
    assert summary.frames == summary.frames_with_polyps == summary.outlines == FRAMES
    assert summary.written == (tmp_path / "out.mp4", tmp_path / "out.jsonl", tmp_path / "masks")
    assert told == [(done, FRAMES) for done in range(1, FRAMES + 1)]
    header, *lines, _ = map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())
    assert header["engine"] == load_bundle(bundle).spec.name
    assert len(lines) == len(list((tmp_path / "masks").iterdir())) == FRAMES
    with open_source(tmp_path / "out.mp4") as written:
        assert len(list(written)) == FRAMES


def test_an_open_engine_and_source_stay_the_callers(clip):
    with StubEngine(SPEC) as engine:
        for _ in range(2):
            with open_source(clip) as source:
                assert run_file(source, Outputs(), model=engine, settings=SETTINGS).frames == FRAMES


def test_a_display_ends_the_run_by_its_key(clip):
    class Quitter:
        shown = 0

        def show(self, frame: object) -> str | None:
            self.shown += 1
            return "q" if self.shown == 3 else None

    with StubEngine(SPEC) as engine:
        assert run_file(clip, Outputs(), model=engine, settings=SETTINGS, display=Quitter()).frames == 3


def test_an_interrupt_closes_the_outputs_and_tells_how_far_it_came(clip, tmp_path):
    def interrupt(done: int, total: int | None) -> None:
        if done == 4:
            raise KeyboardInterrupt

    outputs = Outputs(video=tmp_path / "out.mp4")
    with StubEngine(SPEC) as engine, pytest.raises(RunInterrupted) as caught:
        run_file(clip, outputs, model=engine, settings=SETTINGS, on_progress=interrupt)
    assert caught.value.summary.frames == 4
    with open_source(tmp_path / "out.mp4") as written:
        assert len(list(written)) == 4


def test_a_file_refuses_what_only_a_live_source_has(clip, tmp_path):
    with pytest.raises(InputError, match="raw: is for live sources"):
        run_file(clip, Outputs(raw=tmp_path / "raw.mp4"))


def test_a_file_is_played_live_from_its_path_and_a_bundle(clip, bundle, tmp_path):
    outputs = Outputs(video=tmp_path / "out.mp4", raw=tmp_path / "raw.mp4", json=tmp_path / "out.jsonl")
    summary = run_live(clip, outputs, model=EngineRecipe(bundle, precision="fp32"))
    assert summary.errors == ()
    assert summary.written == (tmp_path / "out.mp4", tmp_path / "raw.mp4", tmp_path / "out.jsonl")
    header = json.loads((tmp_path / "out.jsonl").read_text().splitlines()[0])
    assert header["source"] == "disc.mp4"


def test_a_live_run_has_no_masks(clip, tmp_path):
    with pytest.raises(InputError, match="masks: a live source has none"):
        run_live(str(clip), Outputs(masks=tmp_path))

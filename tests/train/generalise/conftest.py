"""The folders of the protocol in small: seven hospitals of a few frames each."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.train import tiny_encoder
from tests.train.polyps import picture
from train.command_line import run_command_line
from train.generalise.__main__ import app
from train.generalise.hospitals import HOSPITALS

PARTS = {"train": 4, "val": 2, "test": 2}
NUMERICS = '{"channels_last": false, "bfloat16": false}\n'
TINY = {
    "net": "fcn", "encoder": "tiny", "random_init": True, "steps": 4, "sizes": (64, 1), "batch": 4,
    "lr_decoder": 0.02, "lr_encoder": 0.02, "validate_every": 2, "polyp_free_crops": 0.25,
}  # fmt: skip


def write_hospitals(root: Path) -> Path:
    """Every hospital with PARTS, and in splits of negatives as many frames without a polyp."""
    random = np.random.default_rng(0)
    groups = ["source,stem,family,group"]
    for hospital, (path, split, family) in (
        (hospital, data_set) for hospital, data_sets in HOSPITALS.items() for data_set in data_sets
    ):
        folder = root / path
        listed = folder if path == hospital else folder.parent
        for sub in (folder / "images", folder / "masks", listed / "splits"):
            sub.mkdir(parents=True, exist_ok=True)
        for part, count in PARTS.items():
            stems = [f"{hospital}-{split}-{part}{index}" for index in range(count)]
            for stem in stems:
                image, mask = picture(random, has_polyp="negatives" not in split)
                cv2.imwrite(str(folder / "images" / f"{stem}.jpg"), image)
                cv2.imwrite(str(folder / "masks" / f"{stem}.png"), mask)
                groups.append(f"{folder.name},{stem},{family or hospital},{stem}")
            with (listed / "splits" / f"{split}_{part}.txt").open("a") as file:
                file.writelines(f"{stem}\n" for stem in stems)
    (root / "extra" / "groups.csv").write_text("\n".join(groups) + "\n")
    return root


def generalise(stage: str, data: Path, out: Path, **options: object) -> int:
    """The command as a user calls it, TINY but for `options`; number formats are not timed."""
    if not out.exists():
        out.mkdir()
        (out / "numerics.json").write_text(NUMERICS)
    tokens = [stage, "--data", str(data), "-o", str(out)]
    for name, value in (TINY | options).items():
        values = [] if value is True else value if isinstance(value, tuple) else [value]
        tokens += [f"--{name.replace('_', '-')}", *map(str, values)]
    return run_command_line(app, tokens)


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_encoder.register(monkeypatch)


@pytest.fixture(scope="session")
def hospitals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_hospitals(tmp_path_factory.mktemp("hospitals"))


SCREENED = ("transfer", "hard-crops", "distillation", "branches")


@pytest.fixture(scope="session")
def screened(hospitals: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished screening; tests that change it work on a copy."""
    with pytest.MonkeyPatch.context() as patch:
        tiny_encoder.register(patch)
        out = tmp_path_factory.mktemp("protocol") / "out"
        names = {"ingredient": SCREENED, "teachers": ("baseline", "transfer")}
        assert generalise("screen", hospitals, out, **names) == 0
    return out

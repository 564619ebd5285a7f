"""Labels that a stranger made to hurt: each is named in a line, at once and in little memory."""

import base64
import json
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from rtpolyp.errors import InputError
from rtpolyp.imaging.run_length import decode_coco, decode_rows
from train.prepare.coco import read_coco
from train.prepare.cvat import read_cvat
from train.prepare.labelme import read_labelme
from train.prepare.yolo import read_yolo

DEEP = "[" * 200_000
LAUGHS = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
MOST_SECONDS = 10.0


@pytest.fixture(autouse=True)
def at_once():
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < MOST_SECONDS


@pytest.mark.parametrize("content", [DEEP, '{"images": [], "images": []}', '{"images": NaN}'])
def test_json_of_coco_and_labelme(tmp_path: Path, content: str):
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(InputError, match=r"a\.json: not a COCO file"):
        read_coco(path)
    assert "a.json: not a file of LabelMe" in read_labelme([path])["a"]


def test_a_mask_of_labelme_that_hides_its_size(tmp_path: Path):
    """A JPEG of 100 megapixels, where a PNG would tell 64x64."""
    jpeg = cv2.imencode(".jpg", np.zeros((10_000, 10_000), np.uint8))[1].tobytes()
    said = b"\0" * 10 + (64).to_bytes(4, "big") * 2 + b"\0" * 12
    jpeg = jpeg[:2] + b"\xff\xfe" + (len(said) + 2).to_bytes(2, "big") + said + jpeg[2:]
    assert jpeg[16:24] == (64).to_bytes(4, "big") * 2
    mask = {"label": "polyp", "shape_type": "mask", "points": [[0, 0], [1, 1]]}
    mask["mask"] = base64.b64encode(jpeg).decode()
    (tmp_path / "a.json").write_text(json.dumps({"imageWidth": 64, "imageHeight": 64, "shapes": [mask]}))
    assert "a mask that is no PNG" in read_labelme([tmp_path / "a.json"])["a"]


@pytest.mark.parametrize("counts", ["o" * 2_000_000, [2**62] * 4 + [64 * 64], [-1, 64 * 64 + 1]])
def test_run_lengths_of_coco(counts: object):
    with pytest.raises(InputError, match="a run-length encoded mask that cannot be read"):
        decode_coco({"size": [64, 64], "counts": counts}, (64, 64))


def test_run_lengths_whose_sum_wraps_around():
    """They add up to 64x64 in 64 bits, and crashed NumPy."""
    with pytest.raises(ValueError, match="do not add up to 64x64"):
        decode_rows([2**62] * 4 + [64 * 64], (64, 64))


@pytest.mark.parametrize(
    "text",
    [
        f'<!DOCTYPE a [<!ENTITY e0 "lol">{LAUGHS}]><annotations><image name="&e9;"/></annotations>',
        '<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/hostname">]><annotations>&e;</annotations>',
        "<annotations>" + "<track>" * 100_000 + "</track>" * 100_000 + "</annotations>",
    ],
    ids=["entities", "a file", "depth"],
)
def test_xml_of_cvat(tmp_path: Path, text: str):
    (tmp_path / "a.xml").write_text(text)
    with pytest.raises(InputError, match=r"a\.xml: .*Export it"):
        read_cvat(tmp_path / "a.xml", ["1"])


@pytest.mark.parametrize(
    "text",
    [
        "a0: &a0 [x, x]\n"
        + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 60))
        + "names: [*a59]\n",
        "[" * 1_000,
        "names: " + "x" * 300_000,
        "names: !!python/object/apply:os.system [touch canary]\n",
    ],
    ids=["aliases", "depth", "length", "code"],
)
def test_yaml_of_yolo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.yaml").write_text(text)
    with pytest.raises(InputError, match=r"data\.yaml: no names of classes in it .*Export it again"):
        read_yolo(tmp_path, [], {})
    assert [path.name for path in tmp_path.iterdir()] == ["data.yaml"]

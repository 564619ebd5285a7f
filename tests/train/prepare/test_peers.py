"""What we write, read by the tools themselves, and what they write, read by us."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import supervision as sv
from pycocotools.coco import COCO

from rtpolyp.labels import export_labels
from tests.runtime.labels.shapes import SIZE, iou, labels_of, masks, write_pictures
from tests.train.prepare.test_round_trip import SAME, read_back

# supervision draws a polygon on whole pixels with its line, LabelMe by Pillow: up to a pixel more or less all
# around, which is a third of our smallest polyps. Their masks may differ from ours along the border alone.
RIM = 2  # pixels


def about(mask: np.ndarray, ours: np.ndarray) -> bool:
    """Whether each mask lies in the other one grown by RIM."""
    return bool((mask <= grown(ours)).all() and (ours <= grown(mask)).all())


def grown(mask: np.ndarray) -> np.ndarray:
    return cv2.dilate(mask.astype(np.uint8), np.ones((2 * RIM + 1, 2 * RIM + 1), np.uint8)) > 0


@pytest.fixture
def exported(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Our five masks in one format, with pictures."""
    folder = write_pictures(tmp_path / "ours", list(masks()))
    export_labels(labels_of(masks(), is_sequence=False), request.param, folder)
    return folder


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools and NumPy 2
@pytest.mark.parametrize("exported", ["coco"], indirect=True)
def test_pycocotools_reads_our_coco(exported: Path) -> None:
    coco = COCO(str(exported / "annotations/instances_default.json"))
    for image in coco.loadImgs(coco.getImgIds()):
        mask = np.zeros(SIZE[::-1], bool)
        for annotation in coco.loadAnns(coco.getAnnIds(image["id"])):
            drawn = coco.annToMask(annotation) > 0
            mask |= drawn
            assert annotation["area"] == pytest.approx(drawn.sum(), rel=0.01, abs=3)
        assert iou(mask, masks()[Path(image["file_name"]).stem]) >= SAME


@pytest.mark.parametrize("exported", ["coco"], indirect=True)
def test_supervision_reads_our_coco(exported: Path) -> None:
    data = sv.DetectionDataset.from_coco(
        str(exported / "images"), str(exported / "annotations/instances_default.json"), force_masks=True
    )
    assert data.classes == ["polyp"]
    check_supervision(data)


@pytest.mark.parametrize("exported", ["yolo-seg"], indirect=True)
def test_supervision_reads_our_yolo(exported: Path) -> None:
    data = sv.DetectionDataset.from_yolo(
        str(exported / "images"), str(exported / "labels"), str(exported / "data.yaml"), force_masks=True
    )
    check_supervision(data)


def check_supervision(data: sv.DetectionDataset) -> None:
    found = {Path(path).stem: detections for path, _, detections in data}
    assert found.keys() == masks().keys()
    for name, mask in masks().items():
        drawn = found[name].mask
        union = np.zeros_like(mask) if drawn is None or not len(drawn) else np.asarray(drawn).any(axis=0)
        if name == "ring":  # the line of its slits and holes is drawn, too
            assert iou(union, mask) > 0.9
        else:
            assert about(union, mask), name


@pytest.mark.needs_peers
@pytest.mark.parametrize(
    ("exported", "form"), [("coco", "coco_instances"), ("cvat", "cvat")], indirect=["exported"]
)
def test_datumaro_reads_our_files(exported: Path, form: str, peers, tmp_path: Path) -> None:
    peers("datumaro_peer.py", "read", form, exported, tmp_path / "masks.npz")
    found = {Path(name).name: mask > 0 for name, mask in np.load(tmp_path / "masks.npz").items()}
    assert found.keys() == masks().keys()
    assert all(iou(found[name], mask) >= SAME for name, mask in masks().items())


@pytest.mark.needs_peers
@pytest.mark.parametrize(("tool", "form"), [("cvat", "cvat"), ("coco", "coco_instances")])
def test_datumaro_reads_our_tracks(tool: str, form: str, peers, tmp_path: Path) -> None:
    some = {f"{index:06d}": masks()[name] for index, name in enumerate(("disc", "three", "empty", "edge"))}
    folder = write_pictures(tmp_path / "ours", list(some))
    export_labels(labels_of(some, is_sequence=True), tool, folder)
    peers("datumaro_peer.py", "read", form, folder, tmp_path / "masks.npz")
    found = {int(name.rpartition("_")[2]): mask > 0 for name, mask in np.load(tmp_path / "masks.npz").items()}
    for index, mask in enumerate(some.values()):
        assert iou(found[index], mask) >= SAME if mask.any() else not found.get(index, mask).any()
    attributes = json.loads((tmp_path / "masks.json").read_text())
    tracks = [len({one["track_id"] for one in shown}) for shown in attributes.values() if shown]
    assert max(tracks) == 3


@pytest.mark.needs_peers
@pytest.mark.parametrize("form", ["coco_instances", "cvat"])
def test_we_read_what_datumaro_writes(form: str, peers, tmp_path: Path) -> None:
    np.savez(tmp_path / "masks.npz", **{name: mask.astype(np.uint8) for name, mask in masks().items()})
    peers("datumaro_peer.py", "write", form, tmp_path / "theirs", tmp_path / "masks.npz")
    back = read_back(tmp_path / "theirs")
    assert back.keys() == masks().keys()
    for name, mask in masks().items():
        # the peer draws polygons through the centres of border pixels, half a pixel inside our edges
        assert iou(back[name], mask) >= (SAME if name in ("empty", "ring") else 0.85)


@pytest.mark.needs_peers
@pytest.mark.parametrize(
    ("exported", "form"), [("coco", "coco_instances"), ("cvat", "cvat")], indirect=["exported"]
)
def test_our_files_come_back_from_datumaro(exported: Path, form: str, peers, tmp_path: Path) -> None:
    peers("datumaro_peer.py", "convert", form, exported, tmp_path / "theirs")
    back = read_back(tmp_path / "theirs")
    assert back.keys() == masks().keys()
    for frame in labels_of(masks()).frames:
        for region in frame.regions:
            polyp = region.mask(SIZE)
            assert iou(back[frame.stem] & polyp, polyp) >= SAME, frame.stem
        assert iou(back[frame.stem], masks()[frame.stem]) >= SAME, frame.stem


@pytest.mark.needs_peers
@pytest.mark.parametrize("exported", ["labelme"], indirect=True)
def test_labelme_reads_our_files(exported: Path, peers, tmp_path: Path) -> None:
    peers("labelme_peer.py", exported / "images", tmp_path / "masks.npz")
    found = np.load(tmp_path / "masks.npz")
    for name, mask in masks().items():
        assert about(found[name] > 0, mask), name

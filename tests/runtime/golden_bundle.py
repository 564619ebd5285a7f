"""The tiny bundle with a golden frame, and what a wrong machine makes of it."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from rtpolyp.imaging.run_length import encode_rows
from rtpolyp.inference.bundle import Bundle, load_bundle
from rtpolyp.measure.golden import make_golden
from rtpolyp.spec import write_spec
from tests.runtime.tiny_bundle import write_tiny_bundle


def write_golden_bundle(folder: Path) -> Bundle:
    bundle = load_bundle(write_tiny_bundle(folder))
    write_spec(replace(bundle.spec, golden=make_golden(bundle)), folder / "spec.json")
    return load_bundle(folder)


def promise_mask(bundle: Bundle, mask: np.ndarray) -> None:
    """Let the spec promise `mask: (H, W) bool` in FP32: then this machine is wrong."""
    path = bundle.folder / "spec.json"
    spec = json.loads(path.read_text())
    digest = hashlib.sha256(np.packbits(mask).tobytes()).hexdigest()
    spec["golden"]["masks"]["fp32"] = {"runs": " ".join(map(str, encode_rows(mask))), "sha256": digest}
    path.write_text(json.dumps(spec))

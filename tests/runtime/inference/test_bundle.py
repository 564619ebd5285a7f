import re
from pathlib import Path

import pytest

from rtpolyp.errors import BackendError, EngineError
from rtpolyp.inference import bundle as bundle_module
from rtpolyp.inference.bundle import load_bundle
from rtpolyp.spec import read_spec, sha256_of
from tests.runtime.tiny_bundle import write_tiny_bundle


def test_a_folder(own_copy: Path):
    bundle = load_bundle(own_copy)
    assert bundle.spec.name == "tiny"
    assert bundle.model("fp32") == own_copy / "model.onnx"
    assert load_bundle(str(own_copy)) == bundle


def test_a_name_is_looked_up_on_the_shelves_in_order(own_copy: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(bundle_module, "SHELVES", (tmp_path / "absent", own_copy.parent))
    monkeypatch.chdir("/")
    assert load_bundle("tiny").folder == own_copy


def test_an_unknown_name_lists_what_exists(own_copy: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(bundle_module, "SHELVES", (own_copy.parent,))
    with pytest.raises(EngineError, match=r"praenet: no such bundle.*there are: tiny"):
        load_bundle("praenet")
    monkeypatch.setattr(bundle_module, "SHELVES", (tmp_path / "absent",))
    with pytest.raises(EngineError, match="none are installed"):
        load_bundle("praenet")


def test_a_path_is_never_looked_up_as_a_name(own_copy: Path, monkeypatch):
    monkeypatch.setattr(bundle_module, "SHELVES", (own_copy.parent,))
    with pytest.raises(EngineError, match=r"elsewhere/tiny: no such bundle"):
        load_bundle("elsewhere/tiny")


def test_a_folder_without_spec_fails(tmp_path: Path):
    with pytest.raises(EngineError, match=re.escape(f"{tmp_path / 'spec.json'}: no such file")):
        load_bundle(tmp_path)


def test_a_missing_file_fails(own_copy: Path):
    (own_copy / "model.int8.onnx").unlink()
    with pytest.raises(EngineError, match=r"model\.int8\.onnx: no such file, but spec\.json names it"):
        load_bundle(own_copy)


def test_one_changed_byte_fails(own_copy: Path):
    path = own_copy / "model.onnx"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    expected = read_spec(own_copy / "spec.json").sha256["model.onnx"]
    with pytest.raises(
        EngineError, match=rf"model\.onnx: SHA-256 is {sha256_of(path)[:12]}….*{expected[:12]}"
    ):
        load_bundle(own_copy)


def test_a_file_without_hash_fails(own_copy: Path):
    path = own_copy / "spec.json"
    path.write_text(path.read_text().replace('"model.int8.onnx": "', '"other.onnx": "'))
    with pytest.raises(EngineError, match=r"spec\.json: no SHA-256 for model\.int8\.onnx"):
        load_bundle(own_copy)


def test_a_role_that_the_bundle_lacks_fails(own_copy: Path):
    with pytest.raises(BackendError, match="no weights model in this bundle; it has fp32, int8"):
        load_bundle(own_copy).model("weights")


def test_the_digest_follows_the_files(own_copy: Path):
    before = load_bundle(own_copy).digest
    assert load_bundle(own_copy).digest == before
    write_tiny_bundle(own_copy, breakable=True)
    assert load_bundle(own_copy).digest != before

"""Every name of TensorRT's that our code uses exists in the versions that it claims to run on.

`tensorrt_api.txt` holds facts: which of these names the real bindings of each version have.
"""

import ast
import operator
from collections.abc import Iterator
from pathlib import Path

import pytest

from rtpolyp.inference.tensorrt.flavour import Library

ROOT = Path(__file__).parents[4]
FACTS = Path(__file__).with_name("tensorrt_api.txt").read_text().splitlines()
KNOWN = {version: set(names) for version, *names in map(str.split, FACTS)}
RTX = "rtx-1.7.1.116"

# Class of the bindings, by what its instance is called in each file.
RECEIVERS = {
    "rtpolyp/inference/tensorrt/flavour.py": {},
    "rtpolyp/inference/tensorrt/build.py": {
        "builder": "Builder",
        "network": "INetworkDefinition",
        "parser": "OnnxParser",
        "parser.get_error(i)": "ParserError",
        "options": "IBuilderConfig",
        "options.get_timing_cache()": "ITimingCache",
        "profile": "IOptimizationProfile",
        "frames": "ITensor",
        "result": "ITensor",
        "tensor": "ITensor",
        "layer": "ILayer",
    },
    "rtpolyp/inference/tensorrt/engine.py": {
        "self._runtime": "Runtime",
        "self._engine": "ICudaEngine",
        "context": "IExecutionContext",
        "self.context": "IExecutionContext",
        "self._config": "IRuntimeConfig",
        "self._kernels": "IRuntimeCache",
    },
    "train/export/torch_tensorrt.py": {"runtime": "Runtime", "engine": "ICudaEngine"},
}
RTX_ONLY = ("_RtxNetwork", "_set_targets")  # the named branches of TensorRT for RTX


def names_in(file: str, tree: ast.AST) -> Iterator[str]:
    """What a piece of a file takes of TensorRT's module and of its objects, e.g. "Builder.create_network"."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute) or node.attr.startswith("__"):
            continue
        path, receiver = ast.unparse(node), ast.unparse(node.value)
        if path.startswith(("trt.", "self._trt.")):
            names = path.removeprefix("self.").split(".")[1:3]
            yield ".".join(name for name in names if not name.startswith("__"))
        elif receiver in RECEIVERS[file]:
            yield f"{RECEIVERS[file][receiver]}.{node.attr}"


def used(*, rtx: bool) -> set[str]:
    """The names that the branches of TensorRT for RTX use, or those that all the rest does."""
    found: set[str] = set()
    for file in RECEIVERS:
        for node in ast.parse((ROOT / file).read_text()).body:
            if (getattr(node, "name", "") in RTX_ONLY) == rtx:
                found.update(names_in(file, node))
    return found


def test_the_names_are_found():
    assert {"Runtime.deserialize_cuda_engine", "IExecutionContext.execute_async_v3"} <= used(rtx=False)
    assert {"Builder.create_network", "NetworkDefinitionCreationFlag.STRONGLY_TYPED"} <= used(rtx=False)
    assert {"IRuntimeCache.serialize", "CudaGraphStrategy.WHOLE_GRAPH_CAPTURE"} <= used(rtx=True)
    assert {"ComputeCapability", "IBuilderConfig.set_compute_capability"} <= used(rtx=True)


@pytest.mark.parametrize("version", KNOWN)
def test_what_both_flavours_share_exists_everywhere(version: str):
    assert used(rtx=False) - KNOWN[version] == set()


def test_what_rtx_alone_has_exists_there():
    assert used(rtx=True) - KNOWN[RTX] == set()


def test_the_check_would_see_a_missing_name():
    assert used(rtx=True) - KNOWN["10.6.0"]


def test_the_facts_are_those_of_the_installed_library(tensorrt_rtx: Library):
    if tensorrt_rtx.version != RTX.removeprefix("rtx-"):
        pytest.skip(f"tensorrt-rtx {tensorrt_rtx.version} is installed")
    for name in KNOWN[RTX]:
        operator.attrgetter(name)(tensorrt_rtx.trt)


@pytest.mark.parametrize("removed", ["BuilderFlag.FP16", "NetworkDefinitionCreationFlag.EXPLICIT_BATCH"])
def test_what_version_11_removed_is_not_used(removed: str):
    assert removed not in used(rtx=False) | used(rtx=True)

"""Every name of TensorRT's that our runtime uses exists in the versions that it claims to run on.

`tensorrt_runtime_api.txt` holds facts: which of these names the real bindings of each version have.
"""

import ast
from pathlib import Path

import pytest

from rtpolyp.inference import tensorrt

FACTS = Path(__file__).with_name("tensorrt_runtime_api.txt").read_text().splitlines()
KNOWN = {version: set(names) for version, *names in map(str.split, FACTS)}
RTX = "rtx-1.7.1.116"

# Class of the bindings, by what its instance is called in tensorrt.py.
RECEIVERS = {
    "self._trt": "",
    "self._runtime": "Runtime.",
    "self._engine": "ICudaEngine.",
    "context": "IExecutionContext.",
    "self.context": "IExecutionContext.",
    "self._config": "IRuntimeConfig.",
    "self._kernels": "IRuntimeCache.",
    "self._trt.CudaGraphStrategy": "CudaGraphStrategy.",
    "self._trt.DynamicShapesKernelSpecializationStrategy": "DynamicShapesKernelSpecializationStrategy.",
}


def names_in(class_name: str) -> set[str]:
    """The bindings' names that a class of tensorrt.py uses."""
    tree = ast.parse(Path(tensorrt.__file__).read_text())
    (found,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == class_name)
    return {
        RECEIVERS[receiver] + node.attr
        for node in ast.walk(found)
        if isinstance(node, ast.Attribute) and (receiver := ast.unparse(node.value)) in RECEIVERS
    }


USED = names_in("_Network") | names_in("_Execution")


def test_the_names_are_found():
    assert {"Runtime.deserialize_cuda_engine", "IExecutionContext.execute_async_v3"} <= USED
    assert {"IRuntimeCache.serialize", "CudaGraphStrategy.WHOLE_GRAPH_CAPTURE"} <= names_in("_RtxNetwork")


@pytest.mark.parametrize("version", KNOWN)
def test_what_both_flavours_share_exists_everywhere(version: str):
    assert USED - KNOWN[version] == set()


def test_what_rtx_alone_has_exists_there():
    assert names_in("_RtxNetwork") - KNOWN[RTX] == set()


def test_the_check_would_see_a_missing_name():
    assert names_in("_RtxNetwork") - KNOWN["10.6.0"]

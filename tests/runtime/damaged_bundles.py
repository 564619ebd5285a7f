"""A hundred ways to damage a bundle, each a function that does it to a sound one's folder."""

import functools
import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from rtpolyp.spec import sha256_of
from tests.runtime.tiny_bundle import tiny_model

Damage = Callable[[Path], object]
SIZE = (96, 64)
CANARY = "canary"  # beside the bundle; a damage that gets code run touches it

MISSING = ("name", "network", "encoder", "height", "width", "threshold", "minimum_area", "minimum_confidence")
VALUES: dict[str, Any] = {
    "null": None,
    "text": "much",
    "list": [1, [2]],
    "object": {"a": {"b": None}},
    "negative": -1,
    "huge": 10**400,
    "infinity": "1e999",
    "true": True,
}
NUMERIC = ("height", "width", "threshold", "minimum_area", "minimum_confidence")


def change_spec(folder: Path, **changes: object) -> None:
    """Replace fields; the text "1e999" becomes that number, which Python reads as infinity."""
    path = folder / "spec.json"
    text = json.dumps(json.loads(path.read_text()) | changes)
    path.write_text(text.replace('"1e999"', "1e999"))


def change_bytes(folder: Path, change: Callable[[bytes], bytes], file: str = "spec.json") -> None:
    path = folder / file
    path.write_bytes(change(path.read_bytes()))
    if file != "spec.json":
        mend(folder, file)


def mend(folder: Path, file: str = "model.onnx") -> None:
    """Make the hash in the spec that of the file as it is now."""
    hashes = json.loads((folder / "spec.json").read_text())["sha256"]
    change_spec(folder, sha256=hashes | {file: sha256_of(folder / file)})


def change_graph(folder: Path, change: Callable[[onnx.GraphProto], object]) -> None:
    model = onnx.load(folder / "model.onnx")
    change(model.graph)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    mend(folder)


def instead(folder: Path, make: Callable[[Path], object], file: str = "spec.json") -> None:
    """Put something else in a file's place."""
    (folder / file).unlink()
    make(folder / file)


def elsewhere(path: Path) -> None:
    """A link to a copy outside the bundle's folder."""
    outside = path.parent.parent / f"outside-{path.name}"
    shutil.copy(path.with_suffix(".kept"), outside)
    path.symlink_to(outside)


def linked_out(folder: Path, file: str) -> None:
    shutil.copy(folder / file, (folder / file).with_suffix(".kept"))
    instead(folder, elsewhere, file)


def moved(folder: Path, name: str) -> None:
    """The graph lies outside and is named from inside."""
    (folder / "model.onnx").rename(folder.parent / "moved.onnx")
    spec = json.loads((folder / "spec.json").read_text())
    change_spec(
        folder,
        files=spec["files"] | {"fp32": name.format(folder.parent)},
        sha256=spec["sha256"] | {name.format(folder.parent): spec["sha256"]["model.onnx"]},
    )


class _Code:
    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, (f"touch {CANARY}",))


def renamed(folder: Path, suffix: str) -> None:
    """A graph under a name that chooses another of OpenVINO's readers."""
    (folder / "model.onnx").rename(folder / f"model{suffix}")
    spec = json.loads((folder / "spec.json").read_text())
    change_spec(folder, files={"fp32": f"model{suffix}"}, sha256=spec["sha256"])
    mend(folder, f"model{suffix}")


def external(graph: onnx.GraphProto, location: str) -> None:
    weights = graph.initializer[1]
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    entry = weights.external_data.add()
    entry.key, entry.value = "location", location


def external_beside(folder: Path) -> None:
    (folder / "weights.bin").write_bytes(bytes(4 * 8 * 27))
    change_graph(folder, lambda graph: external(graph, "weights.bin"))


def endless(graph: onnx.GraphProto, kind: str) -> None:
    body = helper.make_graph([], "body", [], [])
    graph.node.append(helper.make_node(kind, ["one"], ["never"], body=body))


def another_model(folder: Path, size: tuple[int, int]) -> None:
    (folder / "model.onnx").write_bytes(tiny_model(size).SerializeToString())
    mend(folder)


def shape_of(graph: onnx.GraphProto, what: str, sizes: list[int], kind: int = TensorProto.UINT8) -> None:
    place = getattr(graph, what)[0]
    place.CopyFrom(helper.make_tensor_value_info(place.name, kind, sizes))


def second_output(graph: onnx.GraphProto) -> None:
    graph.output.append(helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 1, 64, 96]))


def twice_as_large(graph: onnx.GraphProto) -> None:
    """The map is resized to more than the graph says."""
    scales = next(one for one in graph.initializer if one.name == "scales")
    scales.CopyFrom(numpy_helper.from_array(np.float32([1, 1, 4, 4]), "scales"))


def with_function(content: bytes) -> bytes:
    model = onnx.load_from_string(content)
    model.functions.append(helper.make_function("strange", "F", [], [], [], [helper.make_opsetid("", 17)]))
    return model.SerializeToString()


def sparse(graph: onnx.GraphProto) -> None:
    entry = graph.sparse_initializer.add()
    entry.values.CopyFrom(numpy_helper.from_array(np.float32([1]), "few"))


def flipped(content: bytes, seed: int) -> bytes:
    """Eight bits anywhere in the file."""
    changed, places = bytearray(content), np.random.default_rng(seed)
    for at in places.integers(0, len(content), 8):
        changed[at] ^= 1 << int(places.integers(8))
    return bytes(changed)


def _part(function: Callable[..., object], *arguments: object, **named: object) -> Damage:
    return lambda folder: function(folder, *arguments, **named)


def _on(function: Callable[..., object], *arguments: object) -> Damage:
    return _part(change_graph, lambda graph: function(graph, *arguments))


TEXTS = ("name", "input_name", "output_name")

REFUSED: dict[str, Damage] = {
    **{
        f"{field} is {label}": _part(change_spec, **{field: value})
        for field in NUMERIC
        for label, value in VALUES.items()
    },
    **{
        f"{field} is {label}": _part(change_spec, **{field: VALUES[label]})
        for field in (*TEXTS, "files", "sha256", "metrics", "trained_on", "golden")
        for label in ("null", "list", "huge")
    },
    **{
        f"no {field}": _part(change_bytes, lambda text, field=field: text.replace(field.encode(), b"x"))
        for field in MISSING
    },
    **{
        f"spec cut at {share} %": _part(
            change_bytes, lambda text, share=share: text[: len(text) * share // 100]
        )
        for share in (0, 1, 25, 50, 75, 98)
    },
    "unknown field": _part(change_spec, colour="blue"),
    "newer schema": _part(change_spec, schema=2, colour="blue"),
    "hash is null": _part(change_spec, sha256={"model.onnx": None, "model.int8.onnx": None}),
    "hash of another": _part(change_spec, sha256={"model.onnx": "0" * 64, "model.int8.onnx": "0" * 64}),
    "no hash": _part(change_spec, sha256={}),
    "confidence of five": _part(change_spec, minimum_confidence=5),
    "confidence is NaN": _part(change_spec, minimum_confidence=float("nan")),
    "name of 5,000": _part(change_spec, output_name="x" * 5000),
    "name with an escape": _part(change_spec, name="\x1b[2J\nrtpolyp: all is well"),
    "another size": _part(change_spec, height=96),
    "another input's name": _part(change_spec, input_name="pixels"),
    "another output's name": _part(change_spec, output_name="logits"),
    "great depth": _part(change_bytes, lambda text: b'{"metrics":' + b"[" * 100_000),
    "fields twice": _part(change_bytes, lambda text: text.replace(b'"height"', b'"width"', 1)),
    "no UTF-8": _part(change_bytes, lambda text: b"\xff\xfe" + text),
    "spec is a list": _part(change_bytes, lambda text: b"[" + text + b"]"),
    "spec of 1 GB": lambda folder: os.truncate(folder / "spec.json", 1 << 30),
    "spec is a pipe": _part(instead, os.mkfifo),
    "spec is a folder": _part(instead, Path.mkdir),
    "spec is a device": _part(instead, lambda path: path.symlink_to("/dev/zero")),
    "spec lies elsewhere": _part(linked_out, "spec.json"),
    "graph by absolute path": _part(moved, "{}/moved.onnx"),
    "graph one folder up": _part(moved, "../moved.onnx"),
    "graph lies elsewhere": _part(linked_out, "model.onnx"),
    "graph is missing": lambda folder: (folder / "model.onnx").unlink(),
    "graph is a pipe": _part(instead, os.mkfifo, "model.onnx"),
    "graph is a folder": _part(instead, Path.mkdir, "model.onnx"),
    "graph is a device": _part(instead, lambda path: path.symlink_to("/dev/zero"), "model.onnx"),
    **{
        f"graph is OpenVINO's {suffix}": _part(renamed, suffix)
        for suffix in (".xml", ".pb", ".pdmodel", ".pt")
    },
    "graph is empty": _part(change_bytes, lambda graph: b"", "model.onnx"),
    "graph is text": _part(change_bytes, lambda graph: b"hello world\n", "model.onnx"),
    "graph is a pickle": _part(change_bytes, lambda graph: pickle.dumps(_Code()), "model.onnx"),
    "graph of tiny fields": _part(change_bytes, lambda graph: b"\x08\x01" * 1_200_000, "model.onnx"),
    **{
        f"graph cut at {share} %": _part(
            change_bytes, lambda graph, share=share: graph[: len(graph) * share // 100], "model.onnx"
        )
        for share in (5, 40, 80, 99)
    },
    "two graphs": _part(change_bytes, lambda graph: graph + graph, "model.onnx"),
    "graph with a function": _part(change_bytes, with_function, "model.onnx"),
    "graph of another size": _part(another_model, (128, 64)),
    "graph of a huge size": _on(shape_of, "input", [1, 1 << 40, 96, 3]),
    "graph takes floats": _on(shape_of, "input", [1, 64, 96, 3], TensorProto.FLOAT),
    "graph of three planes": _on(shape_of, "input", [1, 3, 64, 96]),
    "graph gives floats": _on(shape_of, "output", [1, 64, 96], TensorProto.FLOAT),
    "graph gives one number": _on(shape_of, "output", [1]),
    "graph with two outputs": _on(second_output),
    "graph without output": _on(lambda graph: graph.ClearField("output")),
    "graph with two inputs": _on(
        lambda graph: graph.input.append(helper.make_tensor_value_info("b", 1, [1]))
    ),
    "weights elsewhere, absolute": _on(external, "/etc/passwd"),
    "weights elsewhere, above": _on(external, "../../outside.bin"),
    "weights beside, unhashed": external_beside,
    "weights larger than their data": _on(lambda graph: graph.initializer[1].dims.insert(0, 1 << 50)),
    "weights of negative size": _on(lambda graph: graph.initializer[1].dims.insert(0, -8)),
    "sparse weights": _on(sparse),
    **{f"graph with {kind}": _on(endless, kind) for kind in ("Loop", "Scan", "If")},
}


# What a look at the file does not tell: a library does, in a process of its own, or it runs rightly.
FLIPPED: dict[str, Damage] = {
    f"bits flipped, {seed}": _part(change_bytes, functools.partial(flipped, seed=seed), "model.onnx")
    for seed in range(12)
}
UNSOUND: dict[str, Damage] = {
    "an unknown operation": _on(lambda graph: setattr(graph.node[3], "op_type", "Nope")),
    "a tensor from nowhere": _on(lambda graph: graph.node[3].input.__setitem__(0, "nowhere")),
    "a circle": _on(lambda graph: graph.node[1].input.__setitem__(0, "map")),
    "another shape than declared": _on(twice_as_large),
}


def costly(graph: onnx.GraphProto, side: int, *, product: bool) -> None:
    """Add zero times the mean of a constant of side², or of its product: folded when the graph is opened."""
    graph.initializer.append(numpy_helper.from_array(np.int64([side, side]), "side"))
    value = numpy_helper.from_array(np.float32([0.5]))
    added = [
        helper.make_node("ConstantOfShape", ["side"], ["large"], value=value),
        *([helper.make_node("MatMul", ["large", "large"], ["product"])] if product else []),
        helper.make_node("ReduceMean", ["product" if product else "large"], ["mean_of_all"], keepdims=0),
        helper.make_node("Mul", ["mean_of_all", "zero"], ["nothing"]),
        helper.make_node("Add", ["scaled", "nothing"], ["still_scaled"]),
    ]
    graph.node[9].input[0] = "still_scaled"
    for place, node in enumerate(added, start=9):
        graph.node.insert(place, node)


LONG: Damage = _part(change_graph, functools.partial(costly, side=6000, product=True))  # five minutes
LARGE: Damage = _part(change_graph, functools.partial(costly, side=20_000, product=False))  # 1.6 GiB

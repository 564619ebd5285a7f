"""What an ONNX file is, read without any library: it is checked before one that is written in C++ opens it.

Field numbers are those of onnx.proto, https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

from rtpolyp.errors import EngineError
from rtpolyp.spec import EngineSpec

__all__ = ["check_graph"]

UINT8 = 2  # TensorProto.DataType
MAX_FIELDS = 1_000_000  # the shipped graphs have 9,000; a million take two seconds
ELEMENTS_PER_BYTE = 2  # at most, of 4-bit types

Field = tuple[int, int | memoryview]  # number; the value of a varint, or the bytes of what has a length


class _Tensor(NamedTuple):
    """An input or output; a dimension without a number is None."""

    name: str
    kind: int
    shape: tuple[int | None, ...]

    def __str__(self) -> str:
        kind = "uint8" if self.kind == UINT8 else f"type {self.kind}"
        shown = ", ".join("N" if size is None else str(size) for size in self.shape[:8])
        return f"{ascii(self.name)[:60]}: ({shown}) {kind}"


def check_graph(content: memoryview, spec: EngineSpec) -> None:
    """Raise EngineError, with words that follow on the file's name, where `content` is not `spec`'s graph.

    It must have the one input and the one output that the spec names, in its size; hold all its data itself,
    as much as its shapes say; and be free of loops and branches, which may take any time.
    """
    try:
        inputs, outputs = _Reader().model(content)
    except (ValueError, UnicodeDecodeError) as exc:
        raise EngineError(f"not a graph that rtpolyp opens ({exc}); export the bundle again") from exc
    expected = {
        "input": (inputs, _Tensor(spec.input_name, UINT8, (None, spec.height, spec.width, 3))),
        "output": (outputs, _Tensor(spec.output_name, UINT8, (None, spec.height, spec.width))),
    }
    for what, (found, promised) in expected.items():
        if len(found) != 1 or not _fits(found[0], promised):
            shown = "; ".join(map(str, found[:3])) or "nothing"
            raise EngineError(
                f"its {what} is {shown}, but spec.json says {promised}; export the bundle again"
            )


def _fits(found: _Tensor, promised: _Tensor) -> bool:
    """A dimension that either leaves open fits."""
    return (
        found[:2] == promised[:2]
        and len(found.shape) == len(promised.shape)
        and all(
            None in (size, other) or size == other
            for size, other in zip(found.shape, promised.shape, strict=True)
        )
    )


class _Reader:
    """Walks through one model, over at most MAX_FIELDS fields; raises ValueError for what it refuses."""

    def __init__(self) -> None:
        self._left = MAX_FIELDS

    def model(self, content: memoryview) -> tuple[list[_Tensor], list[_Tensor]]:
        """The inputs that no initialiser fills, and the outputs."""
        graphs = []
        for number, value in self._fields(content):
            if number == 7:
                graphs.append(_message(value))
            elif number == 25:
                raise ValueError("it defines functions of its own")
        if len(graphs) != 1:
            raise ValueError("it is not ONNX, or was cut off")
        return self._graph(graphs[0])

    def _graph(self, content: memoryview) -> tuple[list[_Tensor], list[_Tensor]]:
        inputs, outputs, filled = [], [], set()
        for number, value in self._fields(content):
            if number == 1:
                self._node(_message(value))
            elif number == 5:
                filled.add(self._tensor(_message(value)))
            elif number == 11:
                inputs.append(self._value_info(_message(value)))
            elif number == 12:
                outputs.append(self._value_info(_message(value)))
            elif number == 15:
                raise ValueError("it has sparse weights")
        return [one for one in inputs if one.name not in filled], outputs

    def _node(self, content: memoryview) -> None:
        for number, attribute in self._fields(content):
            if number != 5:
                continue
            for kind, value in self._fields(_message(attribute)):
                if kind in (5, 10):
                    self._tensor(_message(value))
                elif kind in (6, 11):
                    raise ValueError("it has a loop or a branch")
                elif kind in (22, 23):
                    raise ValueError("it has sparse weights")

    def _tensor(self, content: memoryview) -> str:
        """Its name, after the look at where its data is and how much it says to be."""
        name, sizes = "", list[int]()
        for number, value in self._fields(content):
            if number == 1:
                sizes += [value] if isinstance(value, int) else self._varints(value)
            elif number == 8:
                name = str(_message(value), "utf-8")
            elif number == 13 or (number == 14 and value != 0):
                raise ValueError("its weights are in another file")
        if math.prod(sizes) > ELEMENTS_PER_BYTE * len(content):
            raise ValueError(f"{ascii(name)[:60]} has a larger shape than data")
        return name

    def _value_info(self, content: memoryview) -> _Tensor:
        name, kind, shape = "", 0, list[int | None]()
        for number, value in self._fields(content):
            if number == 1:
                name = str(_message(value), "utf-8")
            for tensor in self._inner(number == 2, value, 1):
                for part, inner in self._fields(tensor):
                    if part == 1 and isinstance(inner, int):
                        kind = inner
                    shape += [self._size(one) for one in self._inner(part == 2, inner, 1)]
        return _Tensor(name, kind, tuple(shape))

    def _size(self, dimension: memoryview) -> int | None:
        sizes = [value for number, value in self._fields(dimension) if number == 1]
        return sizes[-1] if sizes and isinstance(sizes[-1], int) else None

    def _inner(self, wanted: bool, value: int | memoryview, number: int) -> list[memoryview]:
        """The messages in the fields `number` of a message, none unless `wanted`."""
        if not wanted:
            return []
        return [_message(inner) for found, inner in self._fields(_message(value)) if found == number]

    def _fields(self, message: memoryview) -> Iterator[Field]:
        position = 0
        while position < len(message):
            self._left -= 1
            if self._left < 0:
                raise ValueError(f"it has more than {MAX_FIELDS:,} fields")
            key, position = _varint(message, position)
            kind = key & 7
            if kind == 0:
                value, position = _varint(message, position)
                yield key >> 3, value
                continue
            if kind == 2:
                length, position = _varint(message, position)
            elif kind in (1, 5):
                length = 8 if kind == 1 else 4
            else:
                raise ValueError("it is not ONNX, or was damaged")
            end = position + length
            if end > len(message):
                raise ValueError("it was cut off or damaged")
            yield key >> 3, message[position:end]
            position = end

    def _varints(self, packed: memoryview) -> list[int]:
        values, position = [], 0
        while position < len(packed):
            self._left -= 1
            if self._left < 0:
                raise ValueError(f"it has more than {MAX_FIELDS:,} fields")
            value, position = _varint(packed, position)
            values.append(value)
        return values


def _message(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise ValueError("it was damaged")
    return value


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    """A number of seven bits a byte, and where it ends; 64 bits, so a negative one is huge here."""
    value = 0
    for shift in range(0, 70, 7):
        if position == len(message):
            raise ValueError("it was cut off")
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError("it was damaged")

"""Damages: of bytes, and of values in JSON."""

import random
from typing import Any

__all__ = ["damaged", "mutated"]

WORDS = (
    b"null",
    b"-1",
    b"1e999",
    b"NaN",
    b"[]",
    b"{}",
    b'""',
    b"\xff\xfe",
    b"\0",
    b"9" * 30,
    b"\n",
    b",",
    b";",
)
VALUES: tuple[Any, ...] = (None, True, -1, 0, 10**20, 1.5, float("inf"), "", "x", [], {}, [[]], {"id": 1})


def damaged(content: bytes, rng: random.Random) -> bytes:
    """The file with one to four damages."""
    data = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(5):
            case 0 if data:
                data[at % len(data)] ^= 1 << rng.randrange(8)
            case 1:
                del data[at:]
            case 2:
                data[at:at] = rng.choice(WORDS)
            case 3:
                del data[at : at + rng.randint(1, 40)]
            case _:
                data[at:at] = data[at : at + rng.randint(1, 200)]
    return bytes(data)


def mutated(value: Any, rng: random.Random) -> Any:
    """JSON with one value, somewhere, of another kind."""
    if isinstance(value, dict) and value and rng.random() < 0.8:
        key = rng.choice(list(value))
        return {**value, key: mutated(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.8:
        at = rng.randrange(len(value))
        return [*value[:at], mutated(value[at], rng), *value[at + 1 :]]
    return rng.choice(VALUES)

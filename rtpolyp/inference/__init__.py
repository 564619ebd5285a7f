"""Pixels → probability: the Engine protocol and one file per backend."""

from rtpolyp.inference.engine import Engine, Prediction
from rtpolyp.inference.selection import open_engine

__all__ = ["Engine", "Prediction", "open_engine"]

"""TensorRT as a backend: a plan that was built from the bundle and lies beside it."""

from rtpolyp.inference.backend import EngineOptions
from rtpolyp.inference.bundle import Bundle
from rtpolyp.inference.engine import Engine
from rtpolyp.inference.nvidia_card import Card
from rtpolyp.inference.tensorrt.engine import TensorRtEngine
from rtpolyp.inference.tensorrt.plans import PREFERENCE, open_beside, plan_files

__all__ = ["TENSORRT"]


class _TensorRtBackend:
    name = TensorRtEngine.backend
    precisions: tuple[str, ...] = PREFERENCE
    probe_precision = "auto"  # that of the plan
    resizable = False  # its input size is built in

    def suits(self, bundle: Bundle, card: Card | None) -> bool:
        """Where there is a card or a plan: a machine that has never seen either hears nothing of them."""
        return card is not None or bool(plan_files(bundle))

    def open(self, bundle: Bundle, precision: str, options: EngineOptions) -> Engine:
        """Open the first plan beside the bundle that runs here."""
        return open_beside(bundle, precision, batch=options.batch, cache=options.cache)


TENSORRT = _TensorRtBackend()

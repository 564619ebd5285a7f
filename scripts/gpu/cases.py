"""The networks that are measured, each of them as a bundle and as a PyTorch module."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cyclopts import Parameter

from rtpolyp.inference.bundle import DEFAULT_BUNDLE, Bundle, load_bundle

if TYPE_CHECKING:  # needs torch
    from train.export.plan_source import PlanSource

SIDE = 352  # pixels: the paper's input
Device = Literal["cuda", "cpu"]


@Parameter(name="*")
@dataclass(frozen=True)
class Case:
    """A bundle with its trained weights, or a network with random ones: for speed those are the same."""

    net: str  # a bundle's name, or a key of train.networks.NETWORKS
    encoder: str | None = None  # None: the bundle's, or the network's default
    side: int | None = None  # pixels; None: a bundle at its own size

    @property
    def trained(self) -> bool:
        """Whether it is a bundle."""
        return self.side is None

    @property
    def label(self) -> str:
        """E.g. "pranet-if res2net50 352"."""
        return " ".join(str(part) for part in (self.net, self.encoder, self.side or "trained") if part)

    def arguments(self) -> list[str]:
        """The case as options of the steps."""
        words = ["--net", self.net]
        words += ["--encoder", self.encoder] if self.encoder else []
        return words + (["--side", str(self.side)] if self.side else [])

    def build_arguments(self) -> list[str]:
        """The case as options of scripts/build_engine.py."""
        words = ["--net", self.net]
        words += ["--encoder", self.encoder] if self.encoder else []
        return words + (["--untrained", "--size", str(self.side)] if self.side else [])


# The shipped bundle and the issue's own subject first: time may run out.
CASES = (
    Case(DEFAULT_BUNDLE),
    Case("pranet-if", "res2net50", SIDE),
    *(
        Case(net, "res2net50" if net.startswith("pranet") else None, SIDE)
        for net in (
            *("pranet", "unet", "unet-if", "unetpp", "unetpp-if"),
            *("resunetpp", "resunetpp-if", "fcn", "fcn-if"),
        )
    ),
)


def bundle_of(case: Case, folder: Path) -> Bundle:
    """The trained bundle, or one of random weights written into `folder`."""
    if case.trained:
        return load_bundle(case.net)
    import onnx

    from train.export.graph import to_onnx

    made = source_of(case)
    onnx.save(to_onnx(made.network, made.spec.size), folder / "model.onnx")
    return Bundle(folder, replace(made.spec, files={"fp32": "model.onnx"}))


def source_of(case: Case) -> "PlanSource":
    """The network as a PyTorch module; needs torch."""
    from train.export import plan_source

    if case.side is not None:
        return plan_source.untrained(case.net, case.encoder, case.side)
    bundle = load_bundle(case.net)
    return plan_source.of_bundle(bundle, bundle.spec.width)

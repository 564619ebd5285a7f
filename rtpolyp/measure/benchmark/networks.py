"""PAPER_NETWORKS: the names of the paper's networks, which need no bundle and no PyTorch to be known."""

__all__ = ["PAPER_NETWORKS"]

PAPER_NETWORKS = tuple(  # spelled as `python -m train --list` has them
    f"{name}{fusion}" for name in ("fcn", "unet", "unetpp", "resunetpp", "pranet") for fusion in ("", "-if")
)

"""What the paper published: "Information Fusion for Colorectal Polyps Medical Image Segmentation", Table 1.

It retrained only its networks with fusion, on random 80/10/10 splits, and took the plain ones from elsewhere:
U-Net, U-Net++ and PraNet are, digit by digit, the rows of PraNet's table (arXiv:2006.11392, Tables 1 and 2),
which come from one model on 900 + 550 images of both sets and are averages over 256 thresholds. So a
difference between two of its lines is one of networks and of protocols.
"""

from dataclasses import dataclass

from train.networks.own_encoder import OWN

__all__ = ["ARMS", "DATA_SETS", "PUBLISHED", "ROWS", "Row"]

ARMS = ("plain", "IF")
DATA_SETS = {"kvasir-seg": "Kvasir-SEG", "cvc-612": "CVC-612"}  # folder → the paper's name


@dataclass(frozen=True)
class Row:
    """A network of the table, and what its published figures were made with as far as is known."""

    title: str
    encoder: str
    initialisation: str
    plain_protocol: str | None  # key of protocols.PROTOCOLS that the plain figures come from; None: another


ROWS = {
    "fcn": Row("FCN", "vgg16", "ImageNet", None),
    "unet": Row("U-Net", OWN, "random", "pranet"),
    "unetpp": Row("U-Net++", OWN, "random", "pranet"),
    "resunetpp": Row("ResUNet++", OWN, "random", None),
    "pranet": Row("PraNet", "res2net50", "ImageNet", "pranet"),
}

# (row, arm) → data set → Dice and mIoU
PUBLISHED = {
    ("fcn", "plain"): {"kvasir-seg": (0.794, 0.763), "cvc-612": (0.768, 0.728)},
    ("fcn", "IF"): {"kvasir-seg": (0.822, 0.792), "cvc-612": (0.791, 0.762)},
    ("unet", "plain"): {"kvasir-seg": (0.818, 0.746), "cvc-612": (0.823, 0.755)},
    ("unet", "IF"): {"kvasir-seg": (0.833, 0.770), "cvc-612": (0.845, 0.773)},
    ("unetpp", "plain"): {"kvasir-seg": (0.821, 0.743), "cvc-612": (0.794, 0.729)},
    ("unetpp", "IF"): {"kvasir-seg": (0.831, 0.767), "cvc-612": (0.819, 0.742)},
    ("resunetpp", "plain"): {"kvasir-seg": (0.813, 0.793), "cvc-612": (0.796, 0.796)},
    ("resunetpp", "IF"): {"kvasir-seg": (0.827, 0.812), "cvc-612": (0.815, 0.816)},
    ("pranet", "plain"): {"kvasir-seg": (0.898, 0.840), "cvc-612": (0.899, 0.849)},
    ("pranet", "IF"): {"kvasir-seg": (0.899, 0.849), "cvc-612": (0.903, 0.857)},
}

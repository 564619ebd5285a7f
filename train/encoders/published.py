"""ImageNet weights that no package installs, fetched from where their authors publish them.

The file is checked against the hash in its published name and kept in PyTorch's cache
(`$TORCH_HOME/hub/checkpoints`), where a file that was copied there by hand is found too.
"""

import logging
import sys
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple

import torch

from rtpolyp.errors import InputError

__all__ = ["IMAGENET", "PUBLISHED", "Published", "fetch"]

log = logging.getLogger(__name__)

IMAGENET = "imagenet"  # the value of --backbone-weights that asks for them


class Published(NamedTuple):
    """A file of weights on the network."""

    url: str
    sha256: str  # first hexadecimal digits


PUBLISHED = {
    # torchvision's VGG16_Weights.IMAGENET1K_V1, 528 MB with the classifier that FCN's fc6 and fc7 begin with
    "vgg16": Published("https://download.pytorch.org/models/vgg16-397923af.pth", "397923af"),
    # the file that PraNet's code names, 98 MB
    "res2net50": Published(
        "https://shanghuagao.oss-cn-beijing.aliyuncs.com/res2net/res2net50_v1b_26w_4s-3cf99910.pth",
        "3cf99910",
    ),
}


def fetch(name: str) -> Path:
    """The published weights of encoder `name`, a key of PUBLISHED, from PyTorch's cache or the network.

    Raises InputError where there is no network, or where the file is not the published one.
    """
    url, sha256 = PUBLISHED[name]
    cached = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    if not cached.is_file():
        log.info("fetching %s", url)
        try:
            cached.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(cached), sha256, progress=sys.stderr.isatty())
        except (OSError, HTTPException, RuntimeError) as exc:  # the last one: another hash
            raise InputError(
                f"{url}: cannot be fetched ({exc}). Download it elsewhere and give --backbone-weights PATH"
            ) from exc
    return cached

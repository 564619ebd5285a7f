"""Several processes, one run: what `torchrun` starts shares every batch and agrees on everything else.

Gradients are averaged where they lie, by NCCL or Gloo. Whatever else is agreed goes from host to host, by
Gloo, so that it waits for no device.
"""

import atexit
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import ParamSpec, TypeVar, cast

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from rtpolyp.errors import InputError, RtpolypError

__all__ = ["World", "join_world"]

# that the others have while the first validates; a process that dies is noticed by torchrun before
PATIENCE = timedelta(hours=12)

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class World:
    """The processes of a run, seen from one of them; by default it is alone."""

    rank: int = 0  # 0 writes, validates and prints
    size: int = 1
    local_rank: int = 0  # on its machine: the number of its GPU
    hosts: dist.ProcessGroup | None = None  # what is agreed goes over it

    def device(self, name: str) -> torch.device:
        """The device `name` on this process: "cuda" is its own GPU. Raises InputError where there is none."""
        if self.size > 1 and name.startswith("cuda:"):
            raise InputError(
                f" {name!r}: each of {self.size} processes takes its own. Give cuda", parameter="device"
            )
        try:
            device = torch.device(f"cuda:{self.local_rank}" if self.size > 1 and name == "cuda" else name)
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError) as exc:  # the latter from a PyTorch that was built without CUDA
            raise InputError(
                f" {name!r}: {str(exc).splitlines()[0]}. Give cpu, or cuda where PyTorch finds a GPU",
                parameter="device",
            ) from exc
        if self.size > 1 and device.type == "cuda":
            torch.cuda.set_device(device)
        return device

    def images(self, batch: int) -> int:
        """How many of a batch are each process's. Raises InputError unless all get as many, and two or more.

        Equal shares make the mean over their losses the loss of the batch; batch norm needs two images.
        """
        images, rest = divmod(batch, self.size)
        if rest or (images < 2 and self.size > 1):
            raise InputError(
                f"batch: {batch} images cannot be shared by {self.size} processes. "
                f"Give a multiple of {self.size}, at least {2 * self.size}"
            )
        return images

    def share(self, batch: torch.Tensor) -> torch.Tensor:
        """This process's slice of a batch (N, …)."""
        return batch.chunk(self.size)[self.rank]

    def parallel(self, network: nn.Module) -> nn.Module:
        """The network to call in a step; its weights become rank 0's, its gradients the mean over all."""
        if self.size == 1:
            return network
        # rank 0's running statistics are the ones that are averaged and saved: the others' may differ
        return DistributedDataParallel(network, broadcast_buffers=False)

    def any(self, flag: bool) -> bool:
        """Whether `flag` is set on any process."""
        return bool(self._reduce(torch.tensor(flag).int(), dist.ReduceOp.MAX))

    def mean(self, values: torch.Tensor) -> torch.Tensor:
        """Mean over the processes, on the CPU; waits for the device."""
        return self._reduce(values.cpu(), dist.ReduceOp.SUM) / self.size

    def agree(self, value: T) -> T:
        """Rank 0's value."""
        box = [value]
        if self.size > 1:
            dist.broadcast_object_list(box, src=0, group=self.hosts)
        return box[0]

    def on_first(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """Let rank 0 do it while the others wait; they get None. Its RtpolypError is raised on all."""
        result, error = None, None
        if self.rank == 0:
            try:
                result = work(*args, **kwargs)
            except RtpolypError as exc:
                error = exc
        if error := self.agree(error):
            raise error
        return result

    def _reduce(self, values: torch.Tensor, how: dist.ReduceOp.RedOpType) -> torch.Tensor:
        if self.size > 1:
            dist.all_reduce(values, how, group=self.hosts)
        return values


@cache  # a process joins once: a second rendezvous might find what is left of the first, and wait forever
def join_world() -> World:
    """The processes that torchrun has started, connected until they end; without it, this one alone.

    All but the first keep their progress to themselves.
    """
    if not dist.is_torchelastic_launched() or int(os.environ["WORLD_SIZE"]) == 1:
        return World()
    dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    atexit.register(dist.destroy_process_group)
    if dist.get_rank() > 0:
        logging.getLogger("train").setLevel(logging.WARNING)
    hosts = cast(dist.ProcessGroup, dist.new_group(backend="gloo", timeout=PATIENCE))  # of which it is one
    return World(dist.get_rank(), dist.get_world_size(), int(os.environ["LOCAL_RANK"]), hosts)

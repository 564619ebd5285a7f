"""Bars for what takes long before training begins: on a terminal, and of the first process alone."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

import torch.distributed as dist
from rich.console import Console

from rtpolyp.terminal.console import progress_bar

__all__ = ["OnDone", "counted"]

OnDone: TypeAlias = Callable[[], None]  # called after each one


@contextmanager
def counted(what: str, total: int) -> Iterator[OnDone]:
    """A bar that counts `what` up to `total` while the block runs; nothing where stderr is no terminal.

    Of several processes the first shows it: the others do the same.
    """
    console = Console(stderr=True, quiet=dist.is_initialized() and dist.get_rank() > 0)
    done = 0
    with progress_bar(console, what) as show:

        def one_more() -> None:
            nonlocal done
            done += 1
            show(done, total)

        show(0, total)
        yield one_more

"""TensorBoard's event file, written at once and by the caller.

`SummaryWriter` writes from a thread of its own: what that raises on a full disk nobody can catch.
"""

import os
import socket
import time
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

__all__ = ["EventFile"]


class EventFile:
    """Scalars of one run; those of an earlier file of `folder` are dropped from `step` on.

    Every method raises OSError where the file cannot be written.
    """

    def __init__(self, folder: Path, step: int):
        name = f"events.out.tfevents.{time.time():.0f}.{socket.gethostname()}.{os.getpid()}"
        self.stream = (folder / name).open("ab")
        self.records = RecordWriter(self.stream)
        self._write(Event(step=step, file_version="brain.Event:2"))
        self._write(Event(step=step, session_log=SessionLog(status=SessionLog.START)))

    def add(self, step: int, values: dict[str, float]) -> None:
        """Write scalars by their tags."""
        scalars = [Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
        self._write(Event(step=step, summary=Summary(value=scalars)))
        self.stream.flush()

    def close(self) -> None:
        """Close the file."""
        self.stream.close()

    def _write(self, event: Event) -> None:
        event.wall_time = time.time()
        self.records.write(event.SerializeToString())

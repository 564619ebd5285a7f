"""The exceptions that rtpolyp raises on purpose.

Each message is one line that names the file or device, the value found and the remedy; where many files are
to be corrected at once, a list follows. The command line prints that and exits with 2; anything else that
escapes is a bug and keeps its traceback.
"""

from collections.abc import Sequence

__all__ = [
    "BackendError",
    "CorruptPlan",
    "EngineBusy",
    "EngineError",
    "EngineUnavailable",
    "ForeignPlan",
    "InputError",
    "OutputError",
    "RtpolypError",
    "WrongResult",
]


class RtpolypError(Exception):
    """Base of every error that a user can act on.

    `parameter` is the argument or field that the message begins with, None where it begins with a file, a
    device or another word: the command line puts its flag there. `listed` follows, a line each.
    """

    def __init__(
        self, message: str = "", *, parameter: str | None = None, listed: Sequence[str] = ()
    ) -> None:
        first = message if parameter is None else f"{parameter}{message}"
        super().__init__("\n  ".join([first, *listed]))
        self.parameter = parameter
        self.listed = tuple(listed)


class InputError(RtpolypError):
    """A video, image, mask, split or option that cannot be used as given."""


class OutputError(RtpolypError):
    """A file or folder that cannot be written; what was already recorded stays readable."""


class EngineError(RtpolypError):
    """A bundle that is missing, broken or foreign, or an engine that failed while running."""


class BackendError(EngineError):
    """An inference library or device that is absent or cannot run the bundle."""


class CorruptPlan(EngineError):
    """A TensorRT plan that is broken, or was changed after it was built."""


class ForeignPlan(BackendError):
    """A TensorRT plan built for another card, version, flavour or system than this machine's."""


class WrongResult(EngineError):
    """An engine whose mask of the golden frame is not the one that its bundle promises."""


class EngineBusy(EngineError):
    """`submit` was called while `capacity` requests were already in flight."""


class EngineUnavailable(EngineError):
    """`submit` was called while an isolated engine's process restarts; the message is short, for a badge."""

"""What the system says of a file that cannot be read or written, with a remedy that is true."""

import errno
import os
from pathlib import Path

import av

from rtpolyp.checks import known_beside
from rtpolyp.errors import InputError, OutputError
from rtpolyp.video.address import redact

__all__ = ["check_readable", "read_error", "write_error"]

GIVE = "give a video, an image, a folder of images, a camera or a URL"
ASK = "ask for the right to read it and to enter its folder, or copy it"
READING: dict[int, tuple[str, str]] = {
    errno.ENOENT: ("no such file", GIVE),
    errno.ENOTDIR: ("no such file", GIVE),
    errno.EACCES: ("no permission to read it", ASK),
    errno.EPERM: ("no permission to read it", ASK),
    errno.ENAMETOOLONG: ("a name that is too long for this system", "give a shorter one"),
    errno.ELOOP: ("a link that leads back to itself", "give the file itself"),
}
PERMITTED = "give a path where you may write"
WRITING = {
    errno.ENOSPC: "make room or give another path",
    errno.EDQUOT: "make room or give another path",
    errno.EFBIG: "give a path on a disk that takes larger files",
    errno.EACCES: PERMITTED,
    errno.EPERM: PERMITTED,
    errno.EROFS: PERMITTED,
    errno.ENAMETOOLONG: "give a shorter name",
}


def check_readable(path: Path) -> None:
    """Raise InputError, in one line, where a file or folder is missing or may not be read."""
    try:
        path.stat()
    except OSError as exc:
        raise read_error(path, exc) from None  # the cause names the path as it is, credentials included
    except ValueError:  # Python's, of a NUL
        raise InputError(f"{path!s}: no file can have such a name; {GIVE}") from None
    wanted = os.R_OK | os.X_OK if path.is_dir() else os.R_OK
    if not os.access(path, wanted, effective_ids=os.access in os.supports_effective_ids):
        raise read_error(path, PermissionError(errno.EACCES, ""))


def read_error(path: Path, exc: OSError | av.FFmpegError) -> InputError:
    """The error for what the system says of reading `path`."""
    reason, remedy = READING.get(
        exc.errno or 0, (f"cannot be read ({exc.strerror})", "copy it, or give another")
    )
    meant = redact(known_beside(path)) if exc.errno == errno.ENOENT else ""
    return InputError(f"{redact(str(path))}: {reason}; {meant}{remedy}")


def write_error(path: Path, exc: OSError | av.FFmpegError, *, kept: str = "") -> OutputError:
    """The error for what the system says of writing `path`; `kept` says what stays of it."""
    remedy = WRITING.get(exc.errno or 0, "give another path")
    return OutputError(f"{path}: cannot be written ({exc.strerror}){kept}; {remedy}")

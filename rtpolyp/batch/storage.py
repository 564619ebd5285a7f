"""Storage and find_videos: folders of this machine and of object stores, by pyarrow's file systems."""

import errno
import glob
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from rtpolyp.batch.extra import needed
from rtpolyp.batch.job import Video
from rtpolyp.errors import InputError, OutputError, RtpolypError
from rtpolyp.video.address import redact
from rtpolyp.video.video_names import VIDEO_FILES

__all__ = ["Storage", "fetch", "find_videos"]

URI = ":/?=&%@+,;~"  # what stays in a URI as it is; a space is written for its code
ASIDE = ".aside-"  # how the names of files begin that are being written


class Storage:
    """A folder to write into, on this machine or in an object store; raises OutputError in one line.

    Files appear whole: each is written aside and then renamed. What is on a machine must be shared by all
    that work on it.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._files, self._root = _opened(address, OutputError)
        self.is_local = _is_local(self._files)

    def path(self, name: str) -> str:
        """Where a file of the folder lies, as its file system calls it; of an empty name the folder."""
        return f"{self._root}/{name}" if name else self._root

    def holds(self, video: Video) -> bool:
        """Whether a video lies in the folder: an overlay of an earlier run, perhaps."""
        folder = self._root if self.is_local else quote(self.address, URI).partition("?")[0].rstrip("/")
        return video.address.startswith(f"{folder}/")

    def begin(self) -> None:
        """Create the folder, and try whether files can be written there."""
        trial = f"{ASIDE}{uuid4().hex}"
        with self._told(""):
            self._files.create_dir(self._root, recursive=True)
            with self._files.open_output_stream(self.path(trial)) as file:
                file.write(b"")
            self._files.delete_file(self.path(trial))

    def names(self, folder: str) -> set[str]:
        """The names of the files in a folder, without those that are being written; none without a folder."""
        fs = needed("pyarrow.fs")
        with self._told(folder):
            selector = fs.FileSelector(self.path(folder), allow_not_found=True)
            infos = self._files.get_file_info(selector)
        names = {info.base_name for info in infos if info.type == fs.FileType.File}
        return {name for name in names if not name.startswith(ASIDE)}

    def has(self, name: str) -> bool:
        """Whether there is such a file."""
        with self._told(name):
            found = self._files.get_file_info(self.path(name)).type == needed("pyarrow.fs").FileType.File
        return bool(found)

    def read(self, name: str) -> bytes:
        """A file's content."""
        with self._told(name), self._files.open_input_stream(self.path(name)) as file:
            return bytes(file.read())

    def write(self, name: str, content: bytes) -> None:
        """Write a file whole."""
        with self._aside(name) as aside, self._files.open_output_stream(aside) as file:
            file.write(content)

    def put(self, source: Path, name: str) -> None:
        """Copy a file of this machine."""
        fs = needed("pyarrow.fs")
        with self._aside(name) as aside:
            fs.copy_files(
                str(source), aside, source_filesystem=fs.LocalFileSystem(), destination_filesystem=self._files
            )

    def discard(self, name: str) -> None:
        """Delete a file; there may be none."""
        if self.has(name):
            with self._told(name):
                self._files.delete_file(self.path(name))

    def remove(self, folder: str) -> None:
        """Delete a folder with its files; there may be none."""
        with self._told(folder):
            self._files.delete_dir_contents(self.path(folder), missing_dir_ok=True)
            if self.is_local and os.path.isdir(self.path(folder)):
                self._files.delete_dir(self.path(folder))

    @contextmanager
    def _aside(self, name: str) -> Iterator[str]:
        """A path beside the file to write, which is renamed to it after the block."""
        place = PurePosixPath(self.path(name))
        aside = str(place.with_name(f"{ASIDE}{uuid4().hex}"))
        with self._told(name):
            self._files.create_dir(str(place.parent), recursive=True)
            yield aside
            self._files.move(aside, str(place))

    @contextmanager
    def _told(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            place = self.path(name) if self.is_local else f"{redact(self.address)}: {name}"
            raise OutputError(
                f"{place}: cannot be written or read ({_reason(exc)}); give a place where you may write"
            ) from exc


def find_videos(sources: Iterable[str]) -> list[Video]:
    """The videos in folders, and in folders below them, of globs, and single ones; by name, sorted.

    Each source is a path, or a URI such as s3://bucket/folder. Raises InputError where a source does not
    exist, holds no video, or two have videos of the same name.
    """
    found: dict[str, Video] = {}
    for source in sources:
        videos = _videos_of(source)
        if not videos:
            raise InputError(f"{redact(source)}: holds no video; give a folder, a glob or files of videos")
        for video in videos:
            other = found.setdefault(video.name, video)
            if other.address != video.address:
                raise InputError(
                    f"{redact(video.address)}: is called {video.name}, as is {redact(other.address)}; "
                    "give the folder that holds both"
                )
    return [found[name] for name in sorted(found)]


@contextmanager
def fetch(video: Video, folder: Path) -> Iterator[Path]:
    """A file of this machine with the video's content: its own, or a copy in `folder`, kept there.

    Raises InputError where it cannot be read.
    """
    fs = needed("pyarrow.fs")
    files, path = _opened(video.address, InputError)
    if _is_local(files):
        yield Path(path)
        return
    place = folder / video.fingerprint(0) / PurePosixPath(video.name).name
    if not place.exists():
        for old in folder.glob("*/*"):  # a worker keeps one video at a time
            old.unlink()
        place.parent.mkdir(parents=True, exist_ok=True)
        aside = place.with_name(f"{ASIDE}{place.name}")
        try:
            fs.copy_files(
                path, str(aside), source_filesystem=files, destination_filesystem=fs.LocalFileSystem()
            )
            aside.rename(place)
        except OSError as exc:
            raise InputError(
                f"{redact(video.address)}: cannot be read ({_reason(exc)}); try again, or copy it"
            ) from exc
    yield place


def _videos_of(source: str) -> list[Video]:
    fs = needed("pyarrow.fs")
    base, pattern = _split(source)
    files, root = _opened(base, InputError)
    try:
        if pattern:
            wrapper = needed("fsspec.implementations.arrow").ArrowFSWrapper(files)
            infos = files.get_file_info(list(wrapper.glob(f"{root.rstrip('/')}/{pattern}")))
        else:
            info = files.get_file_info(root)
            if info.type == fs.FileType.NotFound:
                raise InputError(
                    f"{redact(source)}: no such file or folder; give videos or folders of videos"
                )
            if info.type == fs.FileType.File:
                return [_video(info, info.base_name, source)]
            infos = files.get_file_info(fs.FileSelector(root, recursive=True))
    except OSError as exc:
        raise InputError(
            f"{redact(source)}: cannot be read ({_reason(exc)}); check the name and your rights"
        ) from exc
    is_uri = "://" in base
    address, _, query = base.partition("?") if is_uri else (root, "", "")
    videos = []
    for info in infos:
        if info.type == fs.FileType.File and PurePosixPath(info.path).suffix.lower() in VIDEO_FILES:
            name = info.path.removeprefix(root).lstrip("/")
            below = quote(name) if is_uri else name
            whole = f"{address.rstrip('/')}/{below}" + (f"?{query}" if query else "")
            videos.append(_video(info, name, whole))
    return videos


def _video(info: Any, name: str, address: str) -> Video:
    local = address if "://" in address else os.path.abspath(address)
    return Video(name, local, int(info.size), str(info.mtime_ns))


def _split(source: str) -> tuple[str, str]:
    """The folder before the first wildcard, and the pattern from there; no pattern where there is none."""
    address, mark, query = source.partition("?") if "://" in source else (source, "", "")
    parts = address.split("/")
    first = next((index for index, part in enumerate(parts) if glob.has_magic(part)), None)
    if first is None or ("://" not in source and os.path.exists(source)):
        return source, ""
    base = "/".join(parts[:first]) or ("/" if address.startswith("/") else ".")
    return base + mark + query, "/".join(parts[first:])


def _opened(address: str, error: type[RtpolypError]) -> tuple[Any, str]:
    """The file system of an address, and the path in it."""
    fs = needed("pyarrow.fs")
    try:
        is_uri = "://" in address
        given = quote(address, URI) if is_uri else os.path.abspath(os.path.expanduser(address))
        files, path = fs.FileSystem.from_uri(given)
    except (OSError, ValueError) as exc:
        raise error(
            f"{redact(address)}: no place that pyarrow opens ({_reason(exc)}); give a path or s3://BUCKET/FOLDER"
        ) from exc
    return files, path.rstrip("/") or "/"


def _is_local(files: Any) -> bool:
    return bool(files.type_name == "local")


def _reason(exc: Exception) -> str:
    """What the system says, in a line without a path."""
    number = exc.errno if isinstance(exc, OSError) else None
    if number is not None and number in errno.errorcode:
        return os.strerror(number).lower()
    return str(exc).splitlines()[0].partition(" Detail:")[0].rstrip(".")[:200]

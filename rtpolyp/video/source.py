"""open_source and open_live: which Source reads an address."""

import glob
import os
from pathlib import Path
from typing import Literal

from rtpolyp.dicom.magic import is_dicom, require_dicom
from rtpolyp.errors import InputError
from rtpolyp.imaging.picture_names import IMAGE_SUFFIXES, UNREAD_SUFFIXES, is_image_name
from rtpolyp.video.address import STDIN, is_camera, is_live, local_path
from rtpolyp.video.contract import LiveSource, Source
from rtpolyp.video.file_faults import check_readable
from rtpolyp.video.image_files import ImageFiles
from rtpolyp.video.input_options import InputOptions
from rtpolyp.video.video_file import VideoFile
from rtpolyp.video.video_names import VIDEO_FILES

__all__ = ["open_live", "open_source"]

PLAYLISTS = (".m3u", ".m3u8")
VIDEOS = VIDEO_FILES.union(PLAYLISTS)


def open_source(address: str | Path, *, options: InputOptions | None = None) -> Source:
    """Open a video file, an image, a DICOM object, a folder or a glob of images, or a live source.

    Those are `0` or `/dev/video0` for a camera, the URL of a stream (rtsp, http, rtmp, udp, tcp and their
    like), and `-` for the standard input; they are LiveSources. Raises InputError, one line that names the
    input and the remedy but no credentials, when there is no such input, its kind is unknown, or nothing in
    it can be decoded.
    """
    options = options or InputOptions()
    if is_live(str(address)):
        return open_live(address, options=options)
    path = local_path(str(address))
    if is_dicom(path):
        return _open_dicom(path, options)
    if glob.has_magic(str(path)) and not _exists(path):
        return _open_glob(path, options)
    kind = _kind(path)
    if kind == "video":
        return VideoFile(path, options)
    return ImageFiles(path, max_pixels=options.max_pixels)


def open_live(
    address: str | Path, *, options: InputOptions | None = None, repeat: bool = False
) -> LiveSource:
    """Open a live source, or a video file as one: played at its own pace, once or again and again.

    Raises InputError as `open_source` does, and for images, which have no pace.
    """
    from rtpolyp.video.live.camera import feed_of_camera  # and with it what a file run does not need
    from rtpolyp.video.live.feed import feed_of_file, feed_of_stdin, feed_of_url
    from rtpolyp.video.live.live_stream import LiveStream

    address, options = str(address), options or InputOptions()
    if address == STDIN:
        return LiveStream(feed_of_stdin(options), options)
    if is_camera(address):
        return LiveStream(feed_of_camera(address, options), options)
    if is_live(address):
        return LiveStream(feed_of_url(address, options), options)
    path = local_path(address)
    if is_dicom(path):
        raise InputError(f"{path}: a DICOM object is read frame by frame; leave --latest and --serve out")
    if _kind(path) != "video":
        raise InputError(f"{path}: images have no pace of their own; give a video, a camera or a stream")
    return LiveStream(feed_of_file(path, options, repeat=repeat), options)


def _open_dicom(path: Path, options: InputOptions) -> Source:
    require_dicom(path)
    from rtpolyp.video.dicom_video import open_dicom  # of the extra

    return open_dicom(path, options) or ImageFiles(path, max_pixels=options.max_pixels)


def _kind(path: Path) -> Literal["video", "images"]:
    extension = path.suffix.lower()
    check_readable(path)
    if path.is_dir() or extension in IMAGE_SUFFIXES:
        return "images"
    if extension in VIDEOS:
        return "video"
    if extension in UNREAD_SUFFIXES:
        raise InputError(f"{path}: pictures of the kind {extension} are not read; convert it to PNG or JPEG")
    kinds = " ".join(sorted(known[1:] for known in VIDEOS | IMAGE_SUFFIXES))
    raise InputError(
        f"{path}: extension {extension!r} is of no known kind; convert it to MP4 or PNG, or name it after "
        f"what it is: {kinds}"
    )


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that no file can have, or a folder that may not be entered
        return False


def _open_glob(pattern: Path, options: InputOptions) -> Source:
    files = [Path(name) for name in glob.glob(str(pattern), recursive=True)]
    images = [file for file in files if is_image_name(file)]
    if images and len(images) == len(files):
        folder = Path(os.path.commonpath([os.path.abspath(file.parent) for file in images]))
        return ImageFiles(folder, images, max_pixels=options.max_pixels)
    if len(files) == 1:
        return open_source(files[0], options=options)
    if not files:
        raise InputError(f"{pattern}: matches no file; give a pattern of images, e.g. 'frames/*.png'")
    stray = next(file for file in files if file not in images)
    raise InputError(f"{pattern}: matches {len(files)} files, and {stray.name} is no image; give that alone")

"""What this PyAV's FFmpeg can do."""

import av
from av.codec import Codec, codecs_available
from av.codec.codec import UnknownCodecError

from rtpolyp.errors import BackendError

__all__ = ["describe_codecs"]

ENCODERS = ("libx264", "aac")  # what VideoSink and AudioCopier write
DECODERS = ("h264", "hevc", "mpeg4", "mjpeg", "vp9", "av1")  # what recordings are commonly in


def describe_codecs() -> str:
    """One line: versions, encoders and decoders. Raises BackendError without those that an output needs."""
    if missing := [name for name in ENCODERS if not _writes(name)]:
        raise BackendError(
            f"PyAV {av.__version__} has no encoder {', '.join(missing)}; its wheels on PyPI have: "
            "pip install --force-reinstall --only-binary av av"
        )
    libraries = {name: ".".join(map(str, number)) for name, number in av.library_versions.items()}
    decoders = [name for name in DECODERS if name in codecs_available]
    return (
        f"libavcodec {libraries['libavcodec']}, libavformat {libraries['libavformat']}; "
        f"writes {', '.join(ENCODERS)}; reads {', '.join(decoders)} and more"
    )


def _writes(name: str) -> bool:
    try:
        Codec(name, "w")
    except UnknownCodecError:
        return False
    return True

"""Which of a container's streams are read: one picture, and one sound beside it."""

import av
from av.stream import Discard, Disposition

__all__ = ["NoPictureError", "choose_audio", "choose_video", "clock_may_leap", "discard_others"]

MOST_LISTED = 16  # streams, in one line
CLOCK_MAY_BE_SET_ANEW = 0x200  # AVFMT_TS_DISCONT: MPEG's transport and program streams


class NoPictureError(Exception):
    """There is no stream to take; says so in a few words, with a remedy."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.reason, self.remedy = reason, remedy


def choose_video(
    container: av.container.InputContainer, wanted: int | None = None
) -> tuple[av.VideoStream, str]:
    """The video stream of index `wanted`, else the largest picture; and a remark where there was a choice.

    Of pictures of one size it is the container's default, else the first. Cover pictures do not count.
    Raises NoPictureError.
    """
    moving = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not moving:
        raise NoPictureError("no video stream in it", "give a file with a moving picture")
    if wanted is not None:
        chosen = next((stream for stream in moving if stream.index == wanted), None)
        if chosen is None:
            raise NoPictureError(f"no video stream {wanted}", f"--stream takes one of {_list(moving)}")
    else:
        known = [stream for stream in moving if stream.codec_context is not None]
        chosen = max(known or moving, key=_rank)
    if chosen.codec_context is None:
        raise NoPictureError("its video codec is unknown to this FFmpeg", "convert it to H.264")
    if wanted is not None or len(moving) == 1:
        return chosen, ""
    remark = f"{len(moving)} video streams: {_list(moving)}; taking {chosen.index}, --stream takes another"
    return chosen, remark


def choose_audio(container: av.container.InputContainer) -> tuple[av.AudioStream | None, str]:
    """The first sound, and a remark where there are others."""
    tracks = container.streams.audio
    if not tracks:
        return None, ""
    chosen = next((track for track in tracks if track.codec_context is not None), tracks[0])
    _settle_layout(chosen)
    remark = f"{len(tracks)} sound tracks; stream {chosen.index} is kept" if len(tracks) > 1 else ""
    return chosen, remark


def discard_others(container: av.container.InputContainer, *kept: av.stream.Stream | None) -> None:
    """Let libav skip every stream that is not kept."""
    for stream in container.streams:
        if stream not in kept:
            stream.discard = Discard.all


def clock_may_leap(container: av.container.InputContainer) -> bool:
    """Whether times may leap ahead without a pause in the recording, as where two were joined."""
    return bool(container.format.flags & CLOCK_MAY_BE_SET_ANEW)


def _settle_layout(track: av.AudioStream) -> None:
    """Give the decoder the usual layout for its number of channels; to be called once, before its first use.

    A layout may list its channels one by one, as that of PCM in MOV does. Whoever looks at such a one through
    PyAV 18, if only for the number of channels, frees it; the second look aborts the process, and every
    decoded frame is one. Decoders that know better, as those of AC-3 and AAC do, set theirs again.
    """
    context = track.codec_context
    if context is not None and (channels := context.channels):
        try:
            context.layout = f"{channels}c"
        except ValueError:  # there is no usual one for so many
            context.layout = f"{channels} channels"


def _rank(stream: av.VideoStream) -> tuple[int, bool, int]:
    area = (stream.width or 0) * (stream.height or 0)
    return area, bool(stream.disposition & Disposition.default), -stream.index


def _list(streams: list[av.VideoStream]) -> str:
    shown = [
        f"{stream.index} ({stream.width}x{stream.height})" if stream.codec_context else f"{stream.index}"
        for stream in streams[:MOST_LISTED]
    ]
    return ", ".join(shown) + (" …" if len(streams) > MOST_LISTED else "")

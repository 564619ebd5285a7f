"""Connection: an input that is opened and read on a thread of its own."""

import threading
import time

import av

from rtpolyp.video.decoder import codec_threads
from rtpolyp.video.input_options import InputOptions
from rtpolyp.video.live.faults import InputFault
from rtpolyp.video.live.feed import Feed
from rtpolyp.video.live.packet_queue import Arrival, PacketQueue
from rtpolyp.video.picture_limit import limit_pixels
from rtpolyp.video.stream_choice import NoPictureError, choose_audio, choose_video, discard_others

__all__ = ["Connection"]

POLL_SECONDS = 0.002  # until a device that had nothing is asked again
LET_GO_SECONDS = 0.5  # for a device or port to be free again before it is opened anew


class Connection:
    """Opens an input and reads packets of its best video stream, and of its sound where that is wanted.

    The thread is there because a call into libav or a driver may never return: whoever decodes must be able
    to go on without it. It owns the input, which it closes once the call it is in has returned.

    `opened` and `get` raise what went wrong: av.FFmpegError, OSError, InputFault where there is no picture,
    or whatever else the feed raises.
    """

    def __init__(self, feed: Feed, options: InputOptions) -> None:
        self.container: av.container.InputContainer
        self.video: av.VideoStream
        self.choice = ""  # a remark on the video streams that are not taken
        self.audio: av.AudioStream | None = None
        self.paced, self.ends = feed.paced, feed.at_end == "end"
        self.packets = PacketQueue(waits=feed.waits)
        self._feed, self._options = feed, options
        self._opened, self._released = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="rtpolyp-input", daemon=True)
        self._thread.start()

    def opened(self, timeout: float) -> bool:
        """Wait until the input is open, at most for `timeout` seconds."""
        if not self._opened.wait(timeout):
            return False
        if not hasattr(self, "video"):
            self.packets.get(0.0)  # raises why not
        return True

    def get(self, timeout: float) -> Arrival | None:
        """The next packet, or None when none comes in time; raises EOFError where the input ends."""
        return self.packets.get(timeout)

    def close(self) -> None:
        """Let go of the input; its streams and packets are not to be used any more."""
        self._released.set()
        self.packets.close()
        self._thread.join(LET_GO_SECONDS)

    def _run(self) -> None:
        try:
            container = self._feed.open()
        except Exception as exc:  # whatever it is, it is raised again where the frames are taken
            self.packets.end(exc)
            self._opened.set()
            return
        try:
            self._choose_streams(container)
            self._opened.set()
            self._read(container)
            self.packets.end()
        except Exception as exc:
            self.packets.end(exc)
            self._opened.set()
        finally:
            self._released.wait()  # what was read is decoded with the streams of the container
            container.close()

    def _choose_streams(self, container: av.container.InputContainer) -> None:
        try:
            video, self.choice = choose_video(container, self._options.stream)
            limit_pixels(video, self._options.max_pixels)
        except NoPictureError as exc:
            raise InputFault(exc.reason, exc.remedy) from None
        if self._options.audio:
            self.audio, _ = choose_audio(container)
        discard_others(container, video, self.audio)
        self.container = container
        video.thread_type = "SLICE"  # threads by frame hold back a frame each
        video.codec_context.thread_count = codec_threads()
        self.video = video
        if self._feed.address.lower().startswith("http"):
            # What has a length is a recording. It comes all at once, as each part of a playlist does.
            playlist = container.format.name.startswith("hls")
            self.ends = container.duration is not None or (container.size > 0 and not playlist)
            self.paced = self.packets.waits = self.ends or playlist

    def _read(self, container: av.container.InputContainer) -> None:
        streams = [stream for stream in (self.video, self.audio) if stream is not None]
        while True:
            try:
                for packet in container.demux(*streams):
                    if not self.packets.put(packet):
                        return
                return
            except BlockingIOError:  # how macOS says that a camera has no picture yet
                if self._released.is_set():
                    return
                time.sleep(POLL_SECONDS)

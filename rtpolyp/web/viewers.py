"""Viewers: WebRTC connections, all fed from one encoder."""

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import av
from aioice import ice
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack

from rtpolyp.web.address import Address, is_loopback
from rtpolyp.web.h264 import Encoder
from rtpolyp.web.hub import Hub

__all__ = ["BadOffer", "TooMany", "Viewers"]

MOST = 16  # viewers at once
WAITING = 8  # packets of a viewer; one that takes none gets the next key frame instead
CONNECT_SECONDS = 15.0
MOST_CANDIDATES = 32  # addresses that a viewer may have us try


class TooMany(Exception):
    """All places are taken."""


class BadOffer(Exception):
    """What was offered is no offer to receive H.264."""


class _Track(MediaStreamTrack):
    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self._packets: asyncio.Queue[Any] = asyncio.Queue(WAITING)
        self._needs_key = True

    def offer(self, packet: "av.Packet[av.VideoStream]", *, is_key: bool) -> bool:
        """Queue a packet without waiting; whether a key frame is needed."""
        if self._packets.full():
            while not self._packets.empty():
                self._packets.get_nowait()
            self._needs_key = True
        if is_key:
            self._needs_key = False
        if not self._needs_key:
            self._packets.put_nowait(packet)
        return self._needs_key

    async def recv(self) -> Any:
        """The next packet, as aiortc asks for it."""
        return await self._packets.get()


class Viewers:
    """Answers offers and feeds who is connected; for the event loop."""

    def __init__(self, hub: Hub, address: Address) -> None:
        self._hub = hub
        self._tracks: dict[RTCPeerConnection, _Track] = {}
        self._key = False
        self._worker = ThreadPoolExecutor(1, "rtpolyp-h264")
        self._feeding: asyncio.Task[None] | None = None
        self._watching: set[asyncio.Task[None]] = set()
        if is_loopback(address.host):
            # aioice offers every address but loopback's; here it is to offer that one alone, so that nothing
            # listens where others reach it.
            ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]

    def __len__(self) -> int:
        return len(self._tracks)

    async def answer(self, sdp: str) -> str:
        """Connect a viewer; the answer to its offer. Raises TooMany or BadOffer."""
        if len(self._tracks) >= MOST:
            raise TooMany
        if sdp.count("a=candidate") > MOST_CANDIDATES:
            raise BadOffer
        peer, track = RTCPeerConnection(RTCConfiguration(iceServers=[])), _Track()
        self._tracks[peer] = track
        self._hub.watch(1)
        peer.on("connectionstatechange", lambda: self._changed(peer))
        try:
            await self._negotiate(peer, track, sdp)
        except Exception as exc:  # whatever the library makes of what a stranger wrote
            await self._drop(peer)
            raise BadOffer from exc
        self._watch(self._cut_off(peer))
        if self._feeding is None or self._feeding.done():
            self._feeding = asyncio.create_task(self._feed())
        self._key = True
        return str(peer.localDescription.sdp)

    async def close(self) -> None:
        """Part from all."""
        await asyncio.gather(*(self._drop(peer) for peer in list(self._tracks)), return_exceptions=True)

    async def _negotiate(self, peer: RTCPeerConnection, track: _Track, sdp: str) -> None:
        sender = peer.addTrack(track)
        # A viewer that lost a packet asks for a key frame; aiortc would ask its own encoder, which rests.
        setattr(sender, "_send_keyframe", self._ask_for_key)  # noqa: B010 # mypy: methods are not assigned to
        codecs = RTCRtpSender.getCapabilities("video").codecs
        wanted = [one for one in codecs if one.mimeType == "video/H264"]
        for transceiver in peer.getTransceivers():
            transceiver.setCodecPreferences(wanted)
        await peer.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        await peer.setLocalDescription(await peer.createAnswer())

    def _ask_for_key(self) -> None:
        self._key = True

    async def _feed(self) -> None:
        """Encode the newest picture for all, again and again, while anybody watches."""
        encoder, number, loop = Encoder(), 0, asyncio.get_running_loop()
        while self._tracks and (picture := await self._hub.after(number)) is not None:
            number = picture.number
            key, self._key = self._key, False
            packet, is_key = await loop.run_in_executor(self._worker, partial(encoder, picture, key=key))
            if packet is not None:
                for track in list(self._tracks.values()):
                    self._key |= track.offer(packet, is_key=is_key)

    def _changed(self, peer: RTCPeerConnection) -> None:
        if peer.connectionState == "connected":
            self._key = True
        elif peer.connectionState in ("failed", "closed", "disconnected"):
            self._watch(self._drop(peer))

    async def _cut_off(self, peer: RTCPeerConnection) -> None:
        await asyncio.sleep(CONNECT_SECONDS)
        if peer.connectionState != "connected":
            await self._drop(peer)

    async def _drop(self, peer: RTCPeerConnection) -> None:
        if self._tracks.pop(peer, None) is not None:
            self._hub.watch(-1)
            with contextlib.suppress(Exception):
                await peer.close()

    def _watch(self, job: Any) -> None:
        task = asyncio.ensure_future(job)
        self._watching.add(task)
        task.add_done_callback(self._watching.discard)

"""Board: the sightings of a live session so far, each with the picture that shows it best."""

from dataclasses import dataclass
from typing import Any

from rtpolyp.web.hub import Hub, Picture

__all__ = ["Board"]

MOST = 300  # sightings with a picture; then the oldest go: 30 MiB of JPEGs
BETTER = 1.15  # times as large and sure, for another picture of a sighting
PAUSE_SECONDS = 0.5  # between two pictures of one sighting


@dataclass
class _Sighting:
    track: int
    first: float  # pts, seconds
    last: float
    confidence: float
    alerted: bool = False
    weight: float = 0.0  # area × confidence of its picture
    taken: float = float("-inf")  # pts of its picture
    jpeg: bytes = b""

    def described(self) -> dict[str, Any]:
        return {
            "track": self.track,
            "first": round(self.first, 2),
            "last": round(self.last, 2),
            "confidence": round(self.confidence, 3),
            "alerted": self.alerted,
        }


class Board:
    """Follows the hub's pictures; for the event loop."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._sightings: dict[int, _Sighting] = {}

    async def follow(self) -> None:
        """Look at every picture that there is time for, until no more comes."""
        number = 0
        while (picture := await self._hub.after(number)) is not None:
            number = picture.number
            await self._look(picture)

    def described(self) -> list[dict[str, Any]]:
        """All sightings, in order of their first outline."""
        return [one.described() for one in self._sightings.values() if one.jpeg]

    def picture(self, track: int) -> bytes | None:
        """The JPEG of a sighting; None where there is no such one."""
        found = self._sightings.get(track)
        return found.jpeg or None if found is not None else None

    async def _look(self, picture: Picture) -> None:
        state = picture.state
        pts = state["pts_seconds"]
        for polyp in state["polyps"]:
            track, confidence = polyp["track"], polyp["confidence"]
            if track is None:
                continue
            one = self._sightings.setdefault(track, _Sighting(track, pts, pts, confidence))
            one.last, one.confidence = pts, max(one.confidence, confidence)
            one.alerted |= state["alert"] == track
            weight = polyp["area"] * confidence
            if weight > BETTER * one.weight and pts - one.taken >= PAUSE_SECONDS:
                one.weight, one.taken = weight, pts
                one.jpeg = await self._hub.jpeg(picture)
        while len(self._sightings) > MOST:
            del self._sightings[next(iter(self._sightings))]

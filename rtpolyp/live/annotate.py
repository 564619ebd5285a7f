"""What a live session draws on a picture: the same on the screen, in the recording and in a snapshot."""

from collections.abc import Sequence

from rtpolyp.imaging.onscreen import Badge, draw_arrow, draw_badges, draw_track_ids
from rtpolyp.imaging.overlay import draw_overlay
from rtpolyp.live.frame_analysis import FrameAnalysis
from rtpolyp.settings import Settings
from rtpolyp.video.frame import Frame

__all__ = ["annotate"]


def annotate(
    frame: Frame, analysis: FrameAnalysis | None, settings: Settings, badges: Sequence[Badge]
) -> Frame:
    """A copy of the frame with outlines, ids, arrows and badges; the frame itself without any of them."""
    found = analysis if settings.overlay else None
    if not (badges or (found is not None and (found.segmentation.polyps or found.exits))):
        return frame
    drawn, planes = frame.writable()
    full_range = frame.full_range
    if found is not None:
        polyps, picture = found.segmentation.polyps, found.segmentation.view.crop
        draw_overlay(planes, polyps, settings, full_range=full_range)
        draw_track_ids(planes, polyps, full_range=full_range)
        for point in found.exits:
            draw_arrow(planes, picture, point, full_range=full_range)
    draw_badges(planes, badges, full_range=full_range)
    return drawn

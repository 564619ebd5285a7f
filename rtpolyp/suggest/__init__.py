"""Which frames of videos are worth a label: where networks doubt, and no two of one view."""

from rtpolyp.suggest.folder import Suggestion, suggest_frames

__all__ = ["Suggestion", "suggest_frames"]

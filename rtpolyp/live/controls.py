"""Controls: what the keys of the live window change."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import get_args

from rtpolyp.settings import Settings, Style
from rtpolyp.video.window import CLOSED

__all__ = ["HELP", "Controls", "press"]

STEP = 0.05  # of the threshold
LOWEST, HIGHEST = 0.01, 0.99  # where the keys stop
HELP = "o overlay   y style   + - threshold   space freeze   s snapshot   m mute   q quit"


@dataclass(frozen=True)
class Controls:
    """What the person at the window wants; replaced whole by each key."""

    settings: Settings
    frozen: bool = False  # the window keeps its picture; recordings and the AI go on
    muted: bool = False  # no alert tone
    snapshots: int = 0  # asked for so far: one is due whenever this has grown
    quit: bool = False


def press(key: str | None, state: Controls) -> Controls:
    """The state after a key of `Window.show`; the very same one for None and keys without a meaning."""
    action = ACTIONS.get(key.lower()) if key else None
    return action(state) if action else state


def _overlay(state: Controls) -> Controls:
    return replace(state, settings=replace(state.settings, overlay=not state.settings.overlay))


def _style(state: Controls) -> Controls:
    styles: tuple[Style, ...] = get_args(Style)
    following = styles[(styles.index(state.settings.style) + 1) % len(styles)]
    return replace(state, settings=replace(state.settings, style=following))


def _raise_threshold(state: Controls) -> Controls:
    old = state.settings.threshold
    new = max(old, min(HIGHEST, round(old + STEP, 4)))
    return replace(state, settings=replace(state.settings, threshold=new))


def _lower_threshold(state: Controls) -> Controls:
    old = state.settings.threshold
    new = min(old, max(LOWEST, round(old - STEP, 4)))
    return replace(state, settings=replace(state.settings, threshold=new))


def _freeze(state: Controls) -> Controls:
    return replace(state, frozen=not state.frozen)


def _mute(state: Controls) -> Controls:
    return replace(state, muted=not state.muted)


def _snapshot(state: Controls) -> Controls:
    return replace(state, snapshots=state.snapshots + 1)


def _quit(state: Controls) -> Controls:
    return replace(state, quit=True)


ACTIONS: dict[str, Callable[[Controls], Controls]] = {
    "o": _overlay,
    "y": _style,
    "+": _raise_threshold,
    "=": _raise_threshold,  # the same key without shift
    "-": _lower_threshold,
    "space": _freeze,
    "s": _snapshot,
    "m": _mute,
    "q": _quit,
    "esc": _quit,
    CLOSED: _quit,
}

"""Colour: how a stream's YUV values map to colours, in the code points of ITU-T H.273."""

from dataclasses import dataclass

import av

__all__ = ["Colour"]

UNSPECIFIED = 2  # of matrix, primaries and transfer
LIMITED, FULL = 1, 2  # of range; 0 is unspecified
HD_LINES = 720  # untagged pictures from this height on are taken for BT.709, smaller ones for BT.601
BT601, BT709 = 6, 1
# libswscale's names. The rarer matrices (YCgCo, ICtCp) are no endoscope's and count as untagged.
MATRICES = {1: "bt709", 4: "fcc", 5: "bt601", 6: "bt601", 7: "smpte240m", 9: "bt2020", 10: "bt2020"}


@dataclass(frozen=True)
class Colour:
    """The colour tags of a stream or frame; the defaults are those of an untagged one."""

    matrix: int = UNSPECIFIED  # MatrixCoefficients
    range: int = 0  # 0 unspecified (limited by convention), 1 limited, 2 full
    primaries: int = UNSPECIFIED  # ColourPrimaries
    transfer: int = UNSPECIFIED  # TransferCharacteristics

    @classmethod
    def of(cls, native: av.VideoFrame) -> "Colour":
        """Read a frame's tags; the yuvj formats are full range by their name."""
        full = native.format.name.startswith("yuvj")
        return cls(
            int(native.colorspace),
            FULL if full else int(native.color_range),
            int(native.color_primaries),
            int(native.color_trc),
        )

    @property
    def full_range(self) -> bool:
        """True when luma spans 0 to 255, False when it spans 16 to 235."""
        return self.range == FULL

    def swscale_matrix(self, size: tuple[int, int]) -> str:
        """libswscale's name of the matrix; untagged pictures get the one that players assume.

        The shorter side decides, so that a picture turned upright keeps its colours.
        """
        assumed = "bt709" if min(size) >= HD_LINES else "bt601"
        return MATRICES.get(self.matrix, assumed)

    @property
    def swscale_range(self) -> str:
        """libswscale's name of the range; untagged is limited, as in every broadcast chain."""
        return "full" if self.full_range else "limited"

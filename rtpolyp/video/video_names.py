"""Which files are videos, by their extensions."""

__all__ = ["VIDEO_FILES"]

ISO = (".3g2", ".3gp", ".f4v", ".m4v", ".mov", ".mp4", ".qt")
MATROSKA = (".mkv", ".webm")
MPEG = (".m2t", ".m2ts", ".mod", ".mpe", ".mpeg", ".mpg", ".mts", ".tod", ".ts", ".vob")
ELEMENTARY = (".264", ".265", ".h264", ".h265", ".hevc", ".ivf", ".m2v", ".mjpeg", ".mjpg", ".obu", ".y4m")
OTHER = (".asf", ".avi", ".divx", ".dv", ".flv", ".mxf", ".nut", ".ogm", ".ogv", ".wmv")
VIDEO_FILES = frozenset(ISO + MATROSKA + MPEG + ELEMENTARY + OTHER)

"""Bytes to frames and back: sources, the scaler to the network's size, sinks and the window."""

# cv2 comes first: its window hangs at full load when PyAV's libraries were loaded before it
# (PyAV issues 978 and 1050). Importing anything of this package settles the order.
import cv2  # noqa: F401

"""Validation frames as a stream gives them: blurrier, noisier and coarser than the stills of the data sets.

What is judged on stills alone is too sure of itself: a network's confidence falls on frames like these before
its outlines do, so a filter that costs nothing on stills silences true polyps on video.
"""

import cv2
import numpy as np

__all__ = ["as_recorded"]

BLUR = 0.8  # σ of a Gaussian, pixels of the network's picture
NOISE = 3.0  # σ, grey levels
JPEG_QUALITY = 50


def as_recorded(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """`image: (H, W, 3) uint8` after blur, sensor noise and coarse compression."""
    blurred = cv2.GaussianBlur(image, (0, 0), BLUR)
    noisy = np.clip(blurred + rng.normal(0, NOISE, image.shape), 0, 255).round().astype(np.uint8)
    _, coded = cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR))

"""Engines that need an NVIDIA card, for tests that are marked needs_cuda."""

LEVELS = 2  # of 255, by which a card's kernels for one number of frames may differ from those for another

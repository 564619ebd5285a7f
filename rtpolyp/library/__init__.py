"""The library: polyps in one picture, in a stream, or in one's own loop."""

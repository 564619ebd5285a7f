"""Pixels to probability: one file a backend."""

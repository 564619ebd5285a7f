"""How fast: an engine alone, the whole pipeline, and what a live stream would see.

The words are trtexec's. `bench.py` puts the parts together; each other file is one of them.
"""

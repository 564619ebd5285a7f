"""Cameras, streams and pipes: sources that outlive their losses."""

"""Any engine in a process of its own, which may hang or crash without taking the video along."""

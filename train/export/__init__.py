"""A checkpoint becomes a bundle: the graph, its precisions, its operating point and its card."""

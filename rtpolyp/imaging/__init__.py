"""Pure functions on arrays: geometry, preprocessing, postprocessing, overlay."""

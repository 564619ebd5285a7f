"""The page that says after a run what was seen: one HTML file without anything from elsewhere."""

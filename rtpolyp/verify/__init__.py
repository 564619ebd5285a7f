"""`rtpolyp verify-video`: what a run does to the picture, how late its marks are, and what it loses."""

"""Real-time polyp segmentation for colonoscopy video."""

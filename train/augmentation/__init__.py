"""What happens to a frame before the network sees it in training."""

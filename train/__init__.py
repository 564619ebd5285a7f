"""Training: data, networks, losses, recipes and the loop; needs torch and runs from a checkout."""

"""Many trainings under one plan: a queue of cells that any number of workers share, and what they leave."""

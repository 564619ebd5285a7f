"""Which of a trained network's outlines are polyps; see `train.second_look.__main__`."""

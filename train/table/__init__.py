"""The paper's Table 1: ten networks, trained from several seeds and compared with intervals."""

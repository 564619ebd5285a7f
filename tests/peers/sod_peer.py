"""pysodmetrics on pairs of map and truth, in an environment of its own: sod_peer.py PAIRS.npz FIGURES.json.

PAIRS.npz holds `map_NAME` and `truth_NAME`, both `(H, W) uint8`, 255 = polyp; FIGURES.json gets the figures
of each NAME.
"""

import json
import sys

import numpy as np
from py_sod_metrics import (
    Emeasure,
    FmeasureV2,
    SensitivityHandler,
    Smeasure,
    SpecificityHandler,
    WeightedFmeasure,
)

if __name__ == "__main__":
    pairs = np.load(sys.argv[1])
    figures = {}
    for key in pairs.files:
        if not key.startswith("map_"):
            continue
        name = key.removeprefix("map_")
        rates = FmeasureV2(
            {
                "sensitivity": SensitivityHandler(with_dynamic=True, with_adaptive=False),
                "specificity": SpecificityHandler(with_dynamic=True, with_adaptive=False),
            }
        )
        structure, weighted, aligned = Smeasure(), WeightedFmeasure(), Emeasure()
        for measure in (structure, weighted, aligned, rates):
            measure.step(pred=pairs[key], gt=pairs[f"truth_{name}"])
        figures[name] = {
            "s_measure": structure.get_results()["sm"],
            "weighted_f": weighted.get_results()["wfm"],
            "e_measure": aligned.get_results()["em"]["curve"].mean(),
            **{rate: rates.get_results()[rate]["dynamic"].mean() for rate in ("sensitivity", "specificity")},
        }
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        json.dump(
            {name: {key: float(value) for key, value in of.items()} for name, of in figures.items()}, file
        )

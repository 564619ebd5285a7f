from rtpolyp.measure.benchmark.networks import PAPER_NETWORKS
from train.networks import NETWORKS


def test_the_benchmark_knows_the_papers_networks_by_their_names() -> None:
    assert set(PAPER_NETWORKS) <= set(NETWORKS)

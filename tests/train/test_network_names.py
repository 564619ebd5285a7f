from rtpolyp.cli.bench import NETWORKS as BENCHED
from train.networks import NETWORKS


def test_the_benchmark_knows_the_papers_networks_by_their_names() -> None:
    assert set(BENCHED) <= set(NETWORKS)

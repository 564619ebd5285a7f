from rtpolyp.cli.bench import NETWORKS as BENCHED
from train.networks import NETWORKS


def test_the_benchmark_knows_every_network_by_its_name() -> None:
    assert set(BENCHED) == set(NETWORKS)

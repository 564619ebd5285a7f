import pytest

from rtpolyp.errors import InputError
from rtpolyp.spec import image_fingerprint
from tests.train.polyps import write_polyps
from train.data import Source, parse_source
from train.table.protocols import PROTOCOLS, check_test_is_unseen


def grouped(folder, groups: int) -> Source:
    """A source without a val list, whose 60 training frames belong to so many sequences."""
    write_polyps(folder, train=60, val=0, test=3)
    rows = "".join(f"train{index},{index % groups},0\n" for index in range(60))
    (folder / "sequences.csv").write_text("frame,sequence_id,index_in_sequence\n" + rows)
    return parse_source(str(folder))


@pytest.mark.parametrize(("groups", "watched"), [(60, 3), (30, 4), (20, 3), (6, 10)])
def test_a_twentieth_of_the_groups_is_watched(groups, watched, tmp_path):
    source = grouped(tmp_path / "cvc", groups)
    ((divided,),) = PROTOCOLS["pranet"].trainings([source])
    train, val = divided.pairs("train"), divided.pairs("val")
    assert len(val) == watched
    assert sorted(pair.name for pair in train + val) == sorted(pair.name for pair in source.pairs("train"))
    assert not {pair.group for pair in train} & {pair.group for pair in val}
    assert divided.pairs("test") == source.pairs("test")
    assert divided.name == source.name


def test_pranets_protocol_trains_jointly_and_the_papers_apart(tmp_path):
    sources = [grouped(tmp_path / name, 30) for name in ("kvasir-seg", "cvc-612")]
    assert [len(training) for training in PROTOCOLS["pranet"].trainings(sources)] == [2]
    assert PROTOCOLS["paper"].trainings(sources) == [(source,) for source in sources]


def test_pranets_protocol_refuses_a_split_with_a_val_list(tmp_path):
    source = parse_source(str(write_polyps(tmp_path / "clinic")))
    with pytest.raises(
        InputError, match=r"clinic:half: has a val list, .*kvasir-seg:pranet900-100 and cvc-612:"
    ):
        PROTOCOLS["pranet"].trainings([source])


@pytest.mark.needs_data
def test_no_protocol_scores_what_it_trains_on(data_dir):
    """The real lists; and each protocol's training lists do hold test images of the other."""
    seen, tests = {}, {}
    for name, protocol in PROTOCOLS.items():
        for training in protocol.trainings(
            [parse_source(f"{data_dir / column}") for column in protocol.columns]
        ):
            check_test_is_unseen(training)
            for source in training:
                key = (name, source.name)
                seen[key] = {
                    image_fingerprint(p.image) for part in ("train", "val") for p in source.pairs(part)
                }
                tests[key] = {image_fingerprint(p.image) for p in source.pairs("test")}
    kvasir, cvc = ("paper", "kvasir-seg:paper80-10-10"), ("paper", "cvc-612:sequence80-10-10")
    assert len(seen["pranet", "kvasir-seg:pranet900-100"] & tests[kvasir]) == 86
    assert len(seen["pranet", "cvc-612:pranet550-62"] & tests[cvc]) == 56


@pytest.mark.needs_data
def test_lists_of_both_protocols_together_are_refused(data_dir):
    both = [
        parse_source(f"{data_dir / 'kvasir-seg'}:{split}") for split in ("paper80-10-10", "pranet900-100")
    ]
    (joint,) = PROTOCOLS["pranet"].trainings(both[1:])
    with pytest.raises(
        InputError, match="test images of kvasir-seg:paper80-10-10 are also in kvasir-seg:pranet"
    ):
        check_test_is_unseen([both[0], *joint])

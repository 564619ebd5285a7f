import pytest

from rtpolyp.errors import InputError
from rtpolyp.spec import sha256_of
from train.generalise.hospitals import HOSPITALS, SEALED, fold_of


@pytest.mark.parametrize("left_out", HOSPITALS)
def test_no_fold_trains_on_what_it_leaves_out_or_on_the_sealed_one(left_out, hospitals):
    fold = fold_of(left_out, hospitals, unseal=True)
    sources, parts = fold.chosen_on, ("train", "val")
    seen = {pair.name for source in sources for part in parts for pair in source.pairs(part)}
    shown = {hospital for hospital in HOSPITALS if any(name.startswith(f"{hospital}-") for name in seen)}
    assert shown == HOSPITALS.keys() - {left_out, SEALED}
    assert [source.split for source in fold.normal] == ["hyperkvasir-negatives"] * (left_out != "kvasir-seg")
    assert not set(fold.sources) & set(fold.normal)
    scored = fold.scored(("train", "val", "test"))
    assert all(pair.name.startswith(f"{left_out}-") for pair in scored)
    assert len(scored) == 8 * len(HOSPITALS[left_out])


def test_the_test_part_of_the_left_out_hospital_waits_for_the_full_protocol(hospitals):
    names = [pair.name for pair in fold_of("bkai", hospitals).scored(("train", "val"))]
    assert len(names) == 6
    assert not any("test" in name for name in names)


def test_the_sealed_hospital_is_refused_as_a_fold(hospitals):
    with pytest.raises(
        InputError, match=r"fold polypgen-olcv: sealed while recipes are chosen\. Score it once"
    ):
        fold_of(SEALED, hospitals)


def test_an_unknown_fold_fails_listing_what_exists(hospitals):
    with pytest.raises(InputError, match="fold 'mars' is unknown; there are: kvasir-seg, cvc-612"):
        fold_of("mars", hospitals)


def test_a_folder_without_the_data_fails(tmp_path):
    with pytest.raises(InputError, match=r"kvasir-seg: no such folder\. Give --data the folder that holds"):
        fold_of("bkai", tmp_path)


@pytest.mark.needs_data
def test_the_real_hospitals_have_their_frames_and_share_none(data_dir):
    fold = fold_of(SEALED, data_dir, unseal=True)
    parts = ("train", "val", "test")
    counts: dict[str, int] = {}
    owner: dict[str, str] = {}  # two hospitals hold pictures twice, within one part
    for source in (*fold.chosen_on, *fold.held_out):
        hospital = source.name.split(":")[0]
        for pair in (pair for part in parts for pair in source.pairs(part)):
            counts[hospital] = counts.get(hospital, 0) + 1
            assert owner.setdefault(sha256_of(pair.image), hospital) == hospital
    assert counts == {
        "kvasir-seg": 1000, "hyperkvasir-negatives": 963, "cvc-612": 612, "bkai": 1000,
        "polypgen-C3": 456, "polypgen-endocv": 270, "polypgen-numbered": 188, "polypgen-olcv": 256,
    }  # fmt: skip

import pytest

from rtpolyp.errors import OutputError
from train.networks import NETWORKS
from train.table.paper import ARMS, DATA_SETS, PUBLISHED, ROWS
from train.table.plan import arms_of
from train.table.report import as_csv, as_markdown, write_report


def test_an_empty_table_lists_all_networks_on_all_test_parts():
    sections = as_markdown([]).split("\n## ")[1:]
    assert [section.split("\n")[0] for section in sections] == [
        "Kvasir-SEG, paper80-10-10",
        "CVC-612, sequence80-10-10",
        "CVC-612, paper80-10-10",
        "Kvasir-SEG, pranet900-100",
        "CVC-612, pranet550-62",
    ]
    for section in sections:
        assert section.count("| not run yet | not run yet |") == 10
        for row in ROWS.values():
            assert f"| {row.title} |" in section
            assert f"| {row.title} + IF |" in section
    assert len(as_csv([]).splitlines()) == 1


def test_every_network_has_a_line_and_published_figures():
    assert {spec.name for row in ROWS for spec in arms_of(row, None).values()} == set(NETWORKS)
    assert set(PUBLISHED) == {(row, arm) for row in ROWS for arm in ARMS}
    for row in ROWS:
        for data_set in DATA_SETS:
            plain, fused = (PUBLISHED[row, arm][data_set] for arm in ARMS)
            # the paper: the module "consistently improved the model performance on both datasets"
            assert all(ours > theirs for ours, theirs in zip(fused, plain, strict=True))
            assert 0.7 < plain[1] <= plain[0] < 0.91


def test_the_papers_figures_stand_beside(finished):
    text = (finished / "table.md").read_text()
    assert "| FCN + IF | – | – | – | – | – | not run yet | not run yet | – | – | 0.822 / 0.792 | – |" in text
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in tables} == {13}


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "table.md").mkdir()
    with pytest.raises(OutputError, match=r"table\.md: cannot be written \(Is a directory\)\. Free space"):
        write_report([], tmp_path)

"""groups.csv in every form that people and spreadsheets write."""

import pytest

from rtpolyp.errors import InputError
from rtpolyp.measure.groups import Group, read_groups

EXPECTED = {"a": Group("P1", ""), "b": Group("P1", ""), "c.001": Group("P2", "")}
ROWS = [("a.jpg", "P1"), ("sub/b.PNG", "P1"), ("c.001", "P2")]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_every_delimiter_with_and_without_a_mark(tmp_path, delimiter, mark, end):
    lines = [delimiter.join(row) for row in [("file", "patient"), *ROWS]]
    (tmp_path / "groups.csv").write_bytes((mark + end.join(lines) + end).encode())
    assert read_groups(tmp_path / "groups.csv") == EXPECTED


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("stem,family,group\na,hospital,g1\n", {"a": Group("g1", "hospital")}),
        ("frame,sequence_id,index\n7,3,0\n", {"7": Group("sequence 3", "sequence 3")}),
        ("source;stem;family;group\nx;a;;g1\ny;a;;g2\n", {"a": Group("g1", "")}),
        (" File , Patient \n a.jpg , P1 \n\n", {"a": Group("P1", "")}),
        ('patient,file\n"Smith, J","a.jpg"\n', {"a": Group("Smith, J", "")}),
    ],
)
def test_every_form(tmp_path, text, expected):
    (tmp_path / "groups.csv").write_text(text)
    assert read_groups(tmp_path / "groups.csv", "x") == expected


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"name,who\na,b\n", "columns name, who; write file,patient"),
        (b"file,patient\na.jpg\n", "row 2 has 1 of 2 columns"),
        (b"file,patient\na.jpg,P1\na.png,P2\n", "a is of P1 and of P2"),
        (b"\xff\xfe\x00", "not a table in UTF-8"),
    ],
)
def test_what_is_no_table_fails_in_one_line(tmp_path, content, reason):
    (tmp_path / "groups.csv").write_bytes(content)
    with pytest.raises(InputError, match=reason) as caught:
        read_groups(tmp_path / "groups.csv")
    assert "\n" not in str(caught.value)


def test_an_apostrophe_before_a_formula_is_not_part_of_a_name(tmp_path):
    (tmp_path / "groups.csv").write_text("stem,family,group\n'=a,'-,'@P1\n'b,,'c\n")
    assert read_groups(tmp_path / "groups.csv") == {"=a": Group("@P1", "-"), "'b": Group("'c", "")}

"""Tracks of chunks become those of the whole video."""

from rtpolyp.batch.joining import join
from rtpolyp.batch.tables import FoundFrame


def frame(pts: int, **tracks: int) -> FoundFrame:
    """A frame with an outline a track: t3=40 is track 3 at x = 40."""
    polyps = tuple(
        {"track": int(name[1:]), "box": [x, 10, 20, 20], "area": 400.0, "confidence": 0.9, "contour": []}
        for name, x in tracks.items()
    )
    return FoundFrame(pts, "clear", polyps)


def tracks_of(frames: list[FoundFrame]) -> list[list[int]]:
    return [[polyp["track"] for polyp in one.polyps] for one in frames]


def test_a_track_that_both_chunks_outline_goes_on_with_its_number():
    first = [frame(0, t1=100), frame(1, t1=100, t2=10), frame(2, t2=10)]
    second = [frame(1, t1=100, t2=10), frame(2, t2=10), frame(3, t2=11), frame(4, t1=100)]
    joined = join([(0, first), (3, second)])
    assert [one.pts for one in joined] == [0, 1, 2, 3, 4]
    assert tracks_of(joined) == [[1], [1, 2], [2], [2], [1]]


def test_numbers_follow_the_place_and_not_the_chunks_own_count():
    first = [frame(0, t1=100, t2=10)]
    second = [frame(0, t1=10, t2=100), frame(1, t1=10, t2=100, t3=200)]
    assert tracks_of(join([(0, first), (1, second)])) == [[1, 2], [2, 1, 3]]


def test_new_tracks_are_numbered_in_order_of_their_first_outline():
    first = [frame(0, t1=100), frame(1)]
    second = [frame(1), frame(2, t2=10, t1=50), frame(3, t4=200), frame(4, t3=300)]
    assert tracks_of(join([(0, first), (2, second)])) == [[1], [], [3, 2], [4], [5]]


def test_no_two_tracks_get_one_number():
    first = [frame(0, t1=100)]
    second = [frame(0, t1=100, t2=104), frame(1, t1=100, t2=104)]
    assert tracks_of(join([(0, first), (1, second)])) == [[1], [1, 2]]

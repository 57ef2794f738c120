"""What is kept of the last few."""

from mmat.app.recent import Recent


def test_the_one_that_nobody_asked_for_longest_goes():
    recent = Recent(2)
    recent.put("a", 1)
    recent.put("b", 2)
    assert recent.get("a") == 1
    recent.put("c", 3)
    assert [recent.get(key) for key in "abc"] == [1, None, 3]


def test_a_newer_value_takes_the_place_of_the_older():
    recent = Recent(2)
    for value in range(5):
        recent.put("a", value)
    recent.put("b", 9)
    assert (recent.get("a"), recent.get("b")) == (4, 9)

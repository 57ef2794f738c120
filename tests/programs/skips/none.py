"""No test is skipped."""


def test_two():
    pass

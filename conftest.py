"""What every test run loads, wherever it is started: the keeper of skips."""

# Not by `-p`: that comes before `pythonpath`, and dcase_util installs a package `tests` of its own.
pytest_plugins = ["tests.skips"]

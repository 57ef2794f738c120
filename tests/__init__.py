"""A regular package, so that it comes before the `tests` that dcase_util installs."""

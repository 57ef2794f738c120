"""The whole module is skipped."""

import pytest

pytest.importorskip("nonesuch")

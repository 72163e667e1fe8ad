"""The tests' own set-up: what shares something dear to make is run by one process."""

import pytest


@pytest.mark.xdist_group("groups")
def test_a_group_is_kept_together(request: pytest.FixtureRequest) -> None:
    """pytest-xdist knows a group by the test's id alone: where it cannot write it there, nothing says so."""
    grouped = getattr(request.config.option, "loadgroup", False)
    assert request.node.nodeid.endswith("@groups") == grouped

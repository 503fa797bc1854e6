"""One tiny project, reproduced once a session."""

import pytest

from tests.support.project import Project, tiny_project


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose pipeline has run; treat it as read-only, clone it to change it."""
    project = tiny_project(tmp_path_factory.mktemp("project"))
    project.repro()
    project.commit("results")
    return project

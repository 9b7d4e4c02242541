"""Fixtures for tests of templates: subjects, finished templates, copies that a test may change."""

from __future__ import annotations

import shutil

import pytest

from template_files import asked, strangers, subjects, write_subjects
from warpline import template


@pytest.fixture(scope="session")
def slices(tmp_path_factory):
    """Images that no test changes."""
    return write_subjects(tmp_path_factory.mktemp("slices") / "in")


@pytest.fixture(scope="session")
def built(slices):
    """A template of subjects that belong together."""
    return template.build(subjects(slices), slices.parent / "few", asked())


@pytest.fixture(scope="session")
def built_among_strangers(slices):
    """The same with two more that do not belong."""
    said = []
    made = template.build([*subjects(slices), *strangers(slices)], slices.parent / "all", asked(), say=said.append)
    return made, said


@pytest.fixture
def out(built, tmp_path):
    """A copy of the finished template that a test may change; it lies where its subjects are found."""
    folder = built.folder.parent / tmp_path.name
    yield shutil.copytree(built.folder, folder)
    shutil.rmtree(folder)

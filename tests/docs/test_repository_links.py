"""Links from guides into the repository lead to pages of the site, or to files that it offers."""

from __future__ import annotations

import pytest
import repository_links

GUIDE = repository_links.DOCS / "guide.md"
README = repository_links.ROOT / "README.md"
COPY = repository_links.DOCS / "reference" / "contributing.md"


@pytest.mark.parametrize(
    ("source", "page", "link", "there"),
    [
        (GUIDE, GUIDE, "[a](headers.md#files)", "[a](headers.md#files)"),
        (GUIDE, GUIDE, "[a](../bench/results/front.md)", "[a](reference/front.md)"),
        (GUIDE, GUIDE, "[a](../examples/resample_bold.py)", "[a](../examples/resample_bold.py)"),
        (GUIDE, GUIDE, "[a](https://doi.org/10.1/2)", "[a](https://doi.org/10.1/2)"),
        (GUIDE, GUIDE, "[a](no-such-file.md)", "[a](no-such-file.md)"),
        (README, COPY, "[a](docs/guide.md#recipes)", "[a](../guide.md#recipes)"),
        (README, COPY, "[a](docs/decisions/)", "[a](../development.md)"),
        (README, COPY, "[a](#set-up)", "[a](#set-up)"),
    ],
)
def test_links_work_from_the_page(source, page, link, there):
    assert repository_links.for_page(link, source, page) == there


def test_files_that_are_pages_exist():
    assert [name for name in repository_links.PAGES if not (repository_links.ROOT / name).exists()] == []

"""Links from guides into the repository lead to pages of the site, or to files that it offers."""

from __future__ import annotations

import pytest
import repository_links
import repository_pages

GUIDE = repository_links.DOCS / "guide.md"
README = repository_links.ROOT / "README.md"
COPY = repository_links.DOCS / "reference" / "contributing.md"


@pytest.mark.parametrize(
    ("source", "page", "link", "there"),
    [
        (GUIDE, GUIDE, "[a](headers.md#files)", "[a](headers.md#files)"),
        (GUIDE, GUIDE, "[a](../bench/results/front.md)", "[a](reference/front.md)"),
        (GUIDE, GUIDE, "[a](../examples/resample_bold.py)", "[a](reference/files/examples/resample_bold.py.rst)"),
        (GUIDE, GUIDE, "[a](../bench/results/front.svg)", "[a](../bench/results/front.svg)"),
        (GUIDE, GUIDE, "[a](../bench/results/judgement.json)", "[a](../bench/results/judgement.json)"),
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


def test_linked_files_have_pages_that_show_them():
    pages = dict(repository_pages.pages())
    page = pages["files/examples/interoperability/snakemake/Snakefile.rst"]
    assert page.startswith(":orphan:\n:nosearch:\n\nexamples/interoperability/snakemake/Snakefile\n====")
    assert ":language: python" in page
    there = repository_links.FILES / "examples" / "interoperability" / "snakemake"
    (shown,) = (line.split(":: ")[1] for line in page.splitlines() if "literalinclude" in line)
    assert (there / shown).resolve() == repository_links.ROOT / "examples/interoperability/snakemake/Snakefile"


def test_every_link_to_a_page_of_a_file_has_that_page():
    pages = dict(repository_pages.pages())
    texts = {path: path.read_text(encoding="utf-8") for path in repository_links.DOCS.glob("*.md")}
    links = [link for path, text in texts.items() for link in repository_links.linked(text, path)]
    shown = {repository_links.page_of(link) for link in links if repository_links.lexer_of(link)}
    assert shown and shown <= {repository_links.FILES.parent / name for name in pages}

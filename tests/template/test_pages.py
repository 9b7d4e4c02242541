"""The page of a template."""

from __future__ import annotations

from template_files import COUNT, subjects
from warpline import read_image
from warpline.template.layout import TEMPLATE, round_folder
from warpline.template.pages import encode_page
from warpline.template.rounds import Registered

WEBP = b"data:image/webp"


def test_the_page_shows_every_round_and_every_subject(built):
    page = built.page.read_text()
    assert all(f'<th scope="row">{one.number}</th><td>{one.kind}</td>' in page for one in built.rounds)
    assert all(f'<th scope="row">{one.id}</th>' in page for one in built.subjects)
    assert "5 subjects" in page and "0 left out" in page


def test_the_worst_fits_alone_have_pictures(built, slices, monkeypatch):
    monkeypatch.setattr("warpline.template.pages.MOST_PICTURES", 1)
    number = built.rounds[-1].number
    before, folder = (round_folder(built.folder, n) for n in (number - 1, number))
    page = encode_page(
        built, read_image(built.image), Registered(folder, before / TEMPLATE, tuple(subjects(slices)), {})
    )
    assert b"sub-4" in page and built.page.read_bytes().count(WEBP) - page.count(WEBP) == COUNT - 1

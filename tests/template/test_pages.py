"""The page of a template."""

from __future__ import annotations

from warpline import read_image
from warpline.template.pages import encode_page


def test_the_page_shows_every_round_and_every_subject(built):
    page = built.page.read_text()
    assert all(f'<th scope="row">{one.number}</th><td>{one.kind}</td>' in page for one in built.rounds)
    assert all(f'<th scope="row">{one.id}</th>' in page for one in built.subjects)
    assert "5 subjects" in page and "0 left out" in page


def test_a_page_without_its_thumbnails_is_whole(built, tmp_path):
    thumbnails = {one.id: tmp_path / "none.webp" for one in built.subjects}
    assert b"sub-4" in encode_page(built, read_image(built.image), thumbnails)

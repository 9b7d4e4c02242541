"""Dead links of a built site are found."""

from __future__ import annotations

import check_links
import pytest


@pytest.mark.parametrize(
    ("link", "fault"),
    [
        ('<a href="b.html">', None),
        ('<a href="b.html#there">', None),
        ('<a href="sub/">', None),
        ('<a href="#here">', None),
        ('<a href="https://example.org">', None),
        ('<a href="c.html">', "leads to no file"),
        ('<img src="c.png">', "leads to no file"),
        ('<a href="b.html#nowhere">', "leads to no place"),
        ('<a href="#nowhere">', "leads to no place"),
        ('<script src="https://example.org/x.js">', "another host"),
        ('<img src="//example.org/x.png">', "another host"),
    ],
)
def test_a_link_is_judged(tmp_path, capsys, link, fault):
    (tmp_path / "a.html").write_text(f'<p id="here">{link}</p>')
    (tmp_path / "b.html").write_text('<h1 id="there"></h1>')
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "index.html").write_text("")
    assert check_links.main([str(tmp_path)]) == (fault is not None)
    assert (fault or "0 broken") in capsys.readouterr().out

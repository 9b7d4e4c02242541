"""Configuration of the site, which `make docs` builds in build/site."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.config import Config

sys.path.insert(0, str(Path(__file__).parent / "generators"))

project = "warpline"
author = "The warpline authors"
project_copyright = "The warpline authors, Apache-2.0"
release = version = metadata.version("warpline")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "numpydoc",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "matplotlib.sphinxext.plot_directive",
]
templates_path = ["templates"]
exclude_patterns = ["examples", "generators", "figures", "templates", "tutorials/*.ipynb"]

# -- text -----------------------------------------------------------------------------------------------------------

default_role = "code"
highlight_language = "none"
myst_enable_extensions = ["colon_fence", "fieldlist"]
myst_heading_anchors = 4
nitpick_ignore_regex = [
    ("py:class", ".*"),
    ("py:obj", r"(typing|collections)\..*"),
]
"""Types in signatures, which mypy checks, are links where they have a page. Everything else must exist."""

# -- interface of Python --------------------------------------------------------------------------------------------

autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autosummary_generate = True
numpydoc_show_class_members = False
python_maximum_signature_line_length = 88

# -- tutorials ------------------------------------------------------------------------------------------------------

sphinx_gallery_conf = {
    "examples_dirs": "../examples/tutorials",
    "gallery_dirs": "tutorials",
    "filename_pattern": r"/\w+\.py",
    "only_warn_on_example_error": False,
    "min_reported_time": 30,
    "show_memory": False,
    "write_computation_times": False,
    "capture_repr": ("_repr_html_",),
    "download_all_examples": False,
    "remove_config_comments": True,
    "copyfile_regex": r".*\.rst",
    "within_subsection_order": "tutorial_order.by_lesson",
}

# -- figures --------------------------------------------------------------------------------------------------------

plot_html_show_formats = False
plot_html_show_source_link = False
plot_formats = [("png", 110)]
plot_rcparams = {"figure.facecolor": "white", "savefig.bbox": "tight"}

# -- pages ----------------------------------------------------------------------------------------------------------

html_theme = "pydata_sphinx_theme"
html_title = f"warpline {release}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_theme_options = {
    "logo": {"text": "warpline"},
    "navbar_align": "left",
    "header_links_before_dropdown": 7,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
}
html_sidebars = {"index": [], "getting-started": [], "coming-from": []}


def generate(app: Sphinx, config: Config) -> None:
    """Write the pages that are made from the package, its results and the files beside it."""
    import site_pages

    site_pages.write(Path(app.srcdir))


def setup(app: Sphinx) -> None:
    """Hook up what writes pages, signatures, and links from guides to the repository and from sources to pages."""
    import repository_links
    import search_scope
    import signatures
    import source_pages

    app.connect("config-inited", generate)
    app.connect("autodoc-process-signature", signatures.as_written, priority=400)  # before numpydoc
    app.connect("source-read", repository_links.on_source_read)
    app.connect("source-read", search_scope.on_source_read)
    app.connect("html-page-context", source_pages.lead_back_to_pages)

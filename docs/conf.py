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

import api_pages

project = "warpline"
author = "The warpline authors"
project_copyright = "The warpline authors, Apache-2.0"
release = version = metadata.version("warpline")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
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
myst_enable_extensions = ["colon_fence", "fieldlist"]
myst_heading_anchors = 4
OTHERS = "numpy|nibabel|scipy|pandas|pydantic|annotated_types|dipy|matplotlib|collections|typing|os|datetime|pathlib"
INTERNAL = "backends|cohort|images|io|labelling|longitudinal|registration|resampling|series|space|template|dipy|recipe"

nitpick_ignore_regex = [
    ("py:(class|obj)", rf"({OTHERS})\..*"),
    ("py:class", rf"{'|'.join(api_pages.aliases())}|NDArray|Figure|(tuple|dict)\[.*"),
    ("py:class", rf"warpline\.({INTERNAL})\..*"),
]
"""Types without a page: of other packages, whose sites are not looked at so that the build needs no network; names for
types, and what Sphinx makes of nested ones; and those of our modules that no room exports."""

# -- interface of Python --------------------------------------------------------------------------------------------

autodoc_type_aliases = api_pages.aliases()
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
    """Hook up what writes pages and what makes links from guides to the repository lead somewhere."""
    import repository_links

    app.connect("config-inited", generate)
    app.connect("source-read", repository_links.on_source_read)

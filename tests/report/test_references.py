"""Every reference is cited, and looks like one."""

from __future__ import annotations

import inspect
import re

from warpline.cohort import methods as cohort_methods
from warpline.report import label_methods, longitudinal_methods, methods, series_methods, template_methods
from warpline.report.references import REFERENCES

METHODS = (methods, label_methods, longitudinal_methods, series_methods, template_methods, cohort_methods)
TEXT = "".join(map(inspect.getsource, METHODS))


def test_what_is_cited_exists_and_what_exists_is_cited():
    cited = {
        key.strip() for group in re.findall(r"\[(@[\w;@ -]+)\]", TEXT) for key in group.replace("@", "").split(";")
    }
    assert cited - {"key"} == REFERENCES.keys()


def test_references_have_authors_years_and_a_doi():
    for reference in REFERENCES.values():
        (year,) = re.findall(r"\((\d{4})\)", reference.title)
        assert reference.short.endswith(year) and reference.short.split()[0].rstrip(",") in reference.title
        assert re.fullmatch(r"10\.\d{4,}/\S+", reference.doi) and reference.line().endswith(reference.doi)

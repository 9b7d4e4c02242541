import html
import io
import re

import numpy as np
import pytest

from made_reports import budget_report, page_of, preparation_steps, report_of, uncertainty_report
from warpline.errors import OutputError
from warpline.images import Image
from warpline.report.measures import QUALITY, Sign
from warpline.report.page import html_summary, html_viewer, write_page
from warpline.report.pair_layers import draw_layers
from warpline.report.pictures import write_overlay
from warpline.space import Displacement


@pytest.fixture(scope="module")
def pictures(phantom, tmp_path_factory):
    overlay = tmp_path_factory.mktemp("pictures") / "Overlay.png"
    write_overlay(phantom.fixed, phantom.moving, phantom.fixed, overlay)
    return {"overlay": overlay}


def test_page_shows_every_measurement_and_picture(layers, tmp_path):
    page = page_of(report_of(), layers, tmp_path)
    for text in (
        "fixed.nii.gz",
        "no folds",
        "0.0071",
        "0.031",
        "0.213",
        "syn.total_sigma",
        "5.25 s",
        "0123456789ab",
        "0.9375",
    ):
        assert text in page
    assert page.count("data:image/jpeg;base64,") == 8
    assert page.count("<polyline") == 4
    assert len(page) < 400_000


def test_page_loads_nothing_and_names_every_picture(layers, tmp_path):
    page = page_of(report_of(), layers, tmp_path)
    assert not re.search(r"""(src|href)\s*=\s*["'](?!data:)|@import|url\(|https?://""", page)
    images = re.findall(r"<img [^>]*>", page)
    assert len(images) == 8
    assert all(re.search(r'alt="[^"]{20,}"', image) for image in images)


def test_linear_run_has_a_page_without_deformation(phantom, tmp_path):
    page = page_of(report_of("affine"), draw_layers(phantom.fixed, phantom.moving, phantom.fixed), tmp_path)
    assert "linear only" in page
    assert 'data-layer="jacobian"' not in page
    assert page.count("data:image/jpeg;base64,") == 4


def test_signs_and_measures_stand_beside_their_limits(layers, tmp_path):
    signs = [
        Sign("above_chance", "Agreement above chance", "Local <correlation>", "1.74", "1.8 or more", "doubtful"),
        Sign("coverage", "Coverage", "Share", "99%", "15% or more", "fine"),
    ]
    page = page_of(report_of(), layers, tmp_path, signs=signs)
    for part in (
        "1.74",
        "1.8 or more",
        '"verdict review">doubtful',
        '"verdict pass">fine',
        "Local &lt;correlation&gt;",
    ):
        assert part in page
    for name, measure in QUALITY.items():
        assert f'<th scope="row">{measure.title}</th>' in page and measure.meaning in html.unescape(page), name
    assert "<h2>Judgement</h2>" not in page_of(report_of(), layers, tmp_path)
    report = report_of()
    report["quality"]["least_jacobian"] = None
    assert QUALITY["least_jacobian"].title not in page_of(report, layers, tmp_path)


def test_folds_are_told(layers, tmp_path):
    report = report_of()
    report["quality"] |= {"folded_voxels": 12345, "folds": 0.0012}
    page = page_of(report, layers, tmp_path)
    assert "12\u202f345 folded voxels" in page
    assert "no folds" not in page


def test_files_of_the_same_name_are_told_apart(layers, tmp_path):
    report = report_of(fixed="/study/sub-01/t1.nii.gz")
    report["inputs"]["moving"]["path"] = "/study/sub-02/t1.nii.gz"
    assert "<title>sub-02/t1.nii.gz on sub-01/t1.nii.gz" in page_of(report, layers, tmp_path)


def test_warnings_are_shown(layers, pictures, tmp_path):
    report = report_of()
    report["warnings"] = ["the inverse error is high"]
    warning = report["warnings"][0]
    assert f'<p class="warning">{warning}</p>' in page_of(report, layers, tmp_path)
    assert warning in html_summary(report, pictures)


def test_text_is_escaped_everywhere(layers, pictures, tmp_path):
    report = report_of(fixed="/data/<script>alert(1)</script>.nii")
    assert "<script>alert" not in page_of(report, layers, tmp_path)
    assert "<script>alert" not in html_summary(report, pictures)


def test_commands_quote_paths(layers, tmp_path):
    report = report_of(fixed="/data/my brain.nii") | {"outputs": {"warped": "out/Warped.nii.gz"}}
    assert "itksnap -g &#39;/data/my brain.nii&#39; -o out/Warped.nii.gz" in page_of(report, layers, tmp_path)


def test_same_report_gives_the_same_page(layers, tmp_path):
    for name in ("a.html", "b.html"):
        write_page(report_of(), layers, tmp_path / name)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_page_in_a_missing_folder_says_so(layers, tmp_path):
    with pytest.raises(OutputError, match=r"report\.html cannot be written"):
        write_page(report_of(), layers, tmp_path / "nowhere" / "report.html")


def test_summary_is_small_and_takes_pictures_from_memory():
    draw = np.random.default_rng(0)
    image = Image.from_array(draw.random((150, 150, 150), dtype=np.float32))
    overlay = io.BytesIO()
    write_overlay(image, image, image, overlay)
    overlay.seek(0)
    summary = html_summary(report_of(), {"overlay": overlay})
    assert len(summary) < 300_000
    assert summary.count("<img") == 2
    assert "0 folded voxels" in summary


def test_a_notebook_has_the_page_in_a_frame_of_its_own(layers, pictures, tmp_path):
    report = report_of(fixed='/data/"><script>alert(1)</script>.nii')
    shown = html_viewer(report, layers, pictures)
    framed = re.match(r'<iframe srcdoc="([^"]*)" sandbox="allow-scripts" title="[^"]*" style="[^"]*"></iframe>', shown)
    assert html.unescape(framed[1]) == page_of(report, layers, tmp_path).rstrip("\n")
    beside = shown[framed.end() :]
    assert "<script" not in beside and beside.count("<img") == 2 and "<details>" in beside


def test_two_dimensional_images_have_one_view(tmp_path):
    slice_ = Image.from_array((np.hypot(*np.mgrid[-1:1:64j, -1:1:80j])[:, :, None] < 0.8).astype(np.uint8))
    field = Displacement(np.zeros((3, 64, 80, 1), np.float32), slice_.grid)
    page = page_of(report_of(), draw_layers(slice_, slice_, slice_, field), tmp_path)
    assert page.count("data:image/jpeg;base64,") == 8
    assert "data-layout" not in page.partition("<script>")[0]


def test_what_was_prepared_is_one_line(layers, tmp_path):
    assert "Compared after preparation" not in page_of(report_of() | {"preparation": []}, layers, tmp_path)
    page = page_of(report_of() | {"preparation": preparation_steps()}, layers, tmp_path)
    assert page.count("Compared after preparation: fixed by n4 (SimpleITK 2.5.7), winsorise; moving 2 by n4") == 1


def test_a_budget_shows_what_was_asked_and_reached(layers, tmp_path):
    assert "Deformation budget" not in page_of(report_of(), layers, tmp_path)
    page = page_of(report_of() | {"budget": budget_report()}, layers, tmp_path)
    for text in (
        "Deformation budget",
        "Kept",
        "98.84",
        "0.2471",
        "0.3125 to 2.875",
        "0.0625 to 15.5",
        "total sigma 0.56",
    ):
        assert text in page
    scaled = budget_report(kept=False, scale=0.5, rerun=None, max_bending=None, jacobian=None)
    page = page_of(report_of() | {"budget": scaled}, layers, tmp_path)
    assert "Not kept" in page and "scaled down to 0.5" in page and "Bending energy" not in page


def test_what_robust_weights_leave_out_is_shown(layers, tmp_path):
    assert "Robust weights</h2>" not in page_of(report_of() | {"robust": None}, layers, tmp_path)
    page = page_of(report_of() | {"robust": {"left_out": 0.03125}}, layers, tmp_path)
    assert "Robust weights</h2>" in page and "3.125 % of the fixed object count by less than a half" in page


def test_distances_of_landmarks_are_shown(layers, tmp_path):
    assert "Landmarks</h2>" not in page_of(report_of() | {"landmarks": None}, layers, tmp_path)
    start, result = {"mean": 4.125, "max": 8.0, "each": [0.25, 8.0]}, {"mean": 1.5, "max": 2.75, "each": [0.25, 2.75]}
    told = {"files": None, "model": "thin_plate", "count": 2, "names": ["<AC>", "PC"], "start": start, "result": result}
    page = page_of(report_of() | {"landmarks": told}, layers, tmp_path)
    assert "the start is the thin-plate map fitted to them" in page and "&lt;AC&gt;" in page and "<AC>" not in page
    assert re.search(r"Mean of 2</th><td class=\"n\">4.125</td><td class=\"n\">1.5</td>", page)
    assert re.search(r"PC</th><td class=\"n\">8</td><td class=\"n\">2.75</td>", page)


def test_distances_of_surfaces_are_shown(layers, tmp_path):
    assert "Surfaces</h2>" not in page_of(report_of() | {"surfaces": None}, layers, tmp_path)
    start, result = ({"mean": mean, "p95": 4.5, "matched": 0.96875} for mean in (2.125, 0.625))
    pairs = [{"files": ["<lh>.gii", "b.gii"], "points": [1200, 900], "start": start, "result": result}]
    page = page_of(report_of() | {"surfaces": {"model": "rigid", "pairs": pairs}}, layers, tmp_path)
    assert "the start is the rigid map that brings nearest points together" in page and "&lt;lh&gt;.gii" in page
    assert re.search(
        r"1200, 900</td><td class=\"n\">96.88 %</td><td class=\"n\">2.125</td><td class=\"n\">0.625</td>", page
    )


def test_the_uncertainty_is_told_where_there_is_one(layers, tmp_path):
    assert "Uncertainty</h2>" not in page_of(report_of(), layers, tmp_path)
    page = page_of(report_of() | {"uncertainty": uncertainty_report()}, layers, tmp_path)
    for text in (
        "those of 8 perturbed runs",
        "noise of 3.125 % and 1.562 %",
        "moved by 2 mm",
        "0.7188",
        "2.531",
        "6.344",
        "and the smoothing was scaled",
    ):
        assert text in page
    linear = report_of("rigid") | {"uncertainty": uncertainty_report()}
    assert "and the spacing of the levels was scaled" in page_of(linear, layers, tmp_path)

import io
import re

import numpy as np
import pytest
from PIL import Image as Picture

from warpline.errors import OutputError
from warpline.image import Image
from warpline.recipe import Recipe
from warpline.report.page import html_summary, write_page
from warpline.report.pictures import write_deformation, write_overlay
from warpline.transforms import Displacement


def report_of(recipe="syn", fixed="/data/fixed.nii.gz"):
    levels = [
        {"stage": stage, "level": level, "shape": [24, 28, 24], "iterations": 40, "seconds": 0.3 + level}
        | {"energies": (-0.2 - 0.5 * (1 - np.exp(-np.arange(40) / 9))).tolist()}
        for stage, level in (("rigid", 0), ("affine", 0), ("syn", 0), ("syn", 1))
    ]
    quality = {
        "folds": 0.0,
        "folded_voxels": 0,
        "jacobian_min": 0.213,
        "jacobian_max": 4.02,
        "inverse_error_mean": 0.0071,
        "inverse_error_p99": 0.031,
        "inverse_error_max": 0.2,
        "rounds": 0,
    }
    chosen = Recipe.load(recipe)
    image = {"path": fixed, "shape": [96, 112, 96], "voxel_size": [2.0, 2.0, 2.0], "sha256": "0123456789abcdef" * 4}
    return {
        "warpline": "0.1.0",
        "versions": {"numpy": "2.3.0", "numba": None},
        "python": "3.12.1",
        "platform": "Linux",
        "backend": {"name": "numba", "device": "CPU", "threads": 2},
        "recipe": chosen.model_dump(mode="json"),
        "inputs": {"fixed": image, "moving": image | {"path": None}},
        "initial": None,
        "seconds": {"read": 0.2, "linear": 3.1, "deformable": 5.25, "write": 1.1},
        "levels": levels if chosen.syn else levels[:2],
        "quality": quality if chosen.syn else None,
        "similarity": {"before": {"ncc": 0.3125, "local_ncc": 0.11}, "after": {"ncc": 0.9375, "local_ncc": 0.56}},
        "warnings": [],
    }


@pytest.fixture(scope="module")
def pictures(phantom, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    write_overlay(phantom.fixed, phantom.moving, phantom.fixed, folder / "Overlay.png")
    write_deformation(phantom.fixed, phantom.transform.parts[0], folder / "Grid.png")
    return {"overlay": folder / "Overlay.png", "deformation": folder / "Grid.png"}


def test_page_shows_every_measurement_and_picture(pictures, tmp_path):
    write_page(report_of(), pictures, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
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
    assert page.count("data:image/webp;base64,") == 6
    assert page.count("<polyline") == 4
    assert len(page) < 1_500_000


def test_page_loads_nothing_and_names_every_picture(pictures, tmp_path):
    write_page(report_of(), pictures, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"""(src|href)\s*=\s*["'](?!data:)|@import|url\(|https?://""", page)
    images = re.findall(r"<img [^>]*>", page)
    assert len(images) == 6
    assert all(re.search(r'alt="[^"]{20,}"', image) for image in images)


def test_linear_run_has_a_page_without_deformation(pictures, tmp_path):
    write_page(report_of("affine"), {"overlay": pictures["overlay"]}, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "linear only" in page
    assert "Jacobian" not in page
    assert page.count("data:image/webp;base64,") == 3


def test_folds_are_told(pictures, tmp_path):
    report = report_of()
    report["quality"] |= {"folded_voxels": 12345, "folds": 0.0012}
    write_page(report, pictures, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "12\u202f345 folded voxels" in page
    assert "no folds" not in page


def test_files_of_the_same_name_are_told_apart(pictures, tmp_path):
    report = report_of(fixed="/study/sub-01/t1.nii.gz")
    report["inputs"]["moving"]["path"] = "/study/sub-02/t1.nii.gz"
    write_page(report, pictures, tmp_path / "report.html")
    assert "<title>sub-02/t1.nii.gz on sub-01/t1.nii.gz" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_warnings_are_shown(pictures, tmp_path):
    report = report_of()
    report["warnings"] = ["the inverse error is high"]
    write_page(report, pictures, tmp_path / "report.html")
    warning = report["warnings"][0]
    assert f'<p class="warning">{warning}</p>' in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert warning in html_summary(report, pictures)


def test_text_is_escaped_everywhere(pictures, tmp_path):
    report = report_of(fixed="/data/<script>alert(1)</script>.nii")
    write_page(report, pictures, tmp_path / "report.html")
    assert "<script>alert" not in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<script>alert" not in html_summary(report, pictures)


def test_same_report_gives_the_same_page(pictures, tmp_path):
    for name in ("a.html", "b.html"):
        write_page(report_of(), pictures, tmp_path / name)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_page_in_a_missing_folder_says_so(pictures, tmp_path):
    with pytest.raises(OutputError, match=r"report\.html cannot be written"):
        write_page(report_of(), pictures, tmp_path / "nowhere" / "report.html")


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


def test_two_dimensional_pictures_fit_the_page(tmp_path):
    slice_ = Image.from_array(np.hypot(*np.mgrid[-1:1:64j, -1:1:80j])[:, :, None] < 0.8)
    field = np.zeros((3, 64, 80, 1), np.float32)
    overlay, grid = io.BytesIO(), io.BytesIO()
    write_overlay(slice_, slice_, slice_, overlay)
    write_deformation(slice_, Displacement(field, slice_.grid), grid)
    write_page(report_of(), {"overlay": overlay, "deformation": grid}, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/webp;base64,") == 6
    assert Picture.open(overlay).size[0] == 1600

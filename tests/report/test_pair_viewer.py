"""The page of a pair in a browser."""

import re

import numpy as np
import pytest

from made_reports import report_of, serious_faults
from warpline.images import Image
from warpline.registration.judgement import signs_in_words
from warpline.report.cohort_context import CohortContext, Measure
from warpline.report.page import html_viewer, write_page
from warpline.report.pair_layers import draw_layers
from warpline.report.pictures import write_overlay

PIXELS = """() => new Promise(resolve => requestAnimationFrame(() => requestAnimationFrame(() => resolve(
    [...document.querySelectorAll(".stage canvas")].map(canvas => {
        const small = new OffscreenCanvas(48, 48).getContext("2d");
        small.drawImage(canvas, 0, 0, 48, 48);
        return [...small.getImageData(0, 0, 48, 48).data];
    })))))"""
"""All panels, reduced to 48 x 48 pixels."""


REASONS = ("dice is low", "<b>one</b>", "two", "three", "four")


@pytest.fixture(scope="module")
def folder(phantom, tmp_path_factory):
    """Pages of one pair: alone, and twice in a cohort."""
    folder = tmp_path_factory.mktemp("pair")
    layers = draw_layers(phantom.fixed, phantom.moving, phantom.fixed, phantom.transform.parts[0])
    signs = signs_in_words({"above_chance": 1.74, "object_overlap": 0.1, "coverage": 0.98})
    write_page(report_of(), layers, folder / "alone.html", signs=signs)
    measures = (Measure("Dice", "", "Mean Dice", "overlap", 0.41, 3.0, flagged=True),)
    for id, neighbours in (("a", {"next": "b.html"}), ("b", {"previous": "a.html"})):
        context = CohortContext(id, "cohort", 2, "review", REASONS, measures, "a.html#index", **neighbours)
        write_page(report_of(), layers, folder / f"{id}.html", context)
    return folder


def colours(page):
    """RGB of every panel, flattened."""
    return [np.array(panel, float).reshape(-1, 4)[:, :3] for panel in page.evaluate(PIXELS)]


def tint(panel):
    """How far colours are from grey, on average."""
    return float((panel.max(axis=1) - panel.min(axis=1)).mean())


def test_overlay_is_coloured_before_and_grey_after(folder, open_page):
    page = open_page(folder / "alone.html")
    slider = page.get_by_label("Overlay: from after to before")
    assert slider.input_value() == "0"  # a page opens at the result
    after = [tint(panel) for panel in colours(page)]
    slider.fill("100")
    before = [tint(panel) for panel in colours(page)]
    assert len(after) == 3
    assert max(after) < 8
    assert min(before) > 25


@pytest.mark.parametrize(
    "mode", ["Flicker", "Blend", "Checkerboard", "Edges", "Grid", "Log-Jacobian", "Displacement", "Mismatch"]
)
def test_every_mode_shows_something_else(folder, open_page, mode):
    page = open_page(folder / "alone.html", reduced_motion="reduce")
    page.get_by_label("Overlay: from after to before").fill("50")
    overlay = colours(page)
    page.get_by_role("button", name=mode, exact=True).click()
    shown = colours(page)
    assert all(np.abs(one - other).mean() > 2 for one, other in zip(overlay, shown, strict=True))
    assert page.get_by_role("button", name=mode, exact=True).get_attribute("aria-pressed") == "true"


def test_before_and_after_differ_and_b_switches(folder, open_page):
    page = open_page(folder / "alone.html")
    page.keyboard.press("3")
    page.get_by_label("Blend: from fixed to moving").fill("100")
    page.locator("h1").click()
    after = colours(page)
    page.keyboard.press("b")
    before = colours(page)
    assert page.get_by_role("button", name="before").get_attribute("aria-pressed") == "true"
    assert np.abs(after[0] - before[0]).mean() > 5
    page.get_by_role("button", name="after").click()
    assert np.array_equal(colours(page)[0], after[0])


def test_space_flips_fixed_and_moving(folder, open_page):
    page = open_page(folder / "alone.html")
    page.keyboard.press("2")
    page.keyboard.press(" ")
    page.keyboard.press("b")
    one = colours(page)[0]
    page.keyboard.press(" ")
    assert np.abs(one - colours(page)[0]).mean() > 5
    assert page.locator(".control button").inner_text() == "Play"


def test_cuts_are_stepped_through_by_keys_slider_and_wheel(folder, open_page):
    from playwright.sync_api import expect

    page = open_page(folder / "alone.html")
    where, seen = page.locator(".stage output").first, []

    def look():
        """Wait for another text, as the page draws with the next frame."""
        if seen:
            expect(where).not_to_have_text(seen[-1])
        expect(where).to_have_text(re.compile("^x = "))
        seen.append(where.inner_text())

    look()
    page.keyboard.press("ArrowRight")
    look()
    page.get_by_role("slider", name="Sagittal cut").fill("0")
    look()
    page.locator(".stage canvas").first.hover()
    page.mouse.wheel(0, 100)
    look()
    assert len(set(seen)) == 4


def test_one_view_shows_all_its_cuts(folder, open_page):
    page = open_page(folder / "alone.html")
    page.get_by_role("button", name="Axial").click()
    assert page.locator(".stage canvas").count() == 12
    page.keyboard.press("v")
    assert page.locator(".stage canvas").count() == 3


def test_canvases_say_what_they_show(folder, open_page):
    page = open_page(folder / "alone.html")
    label = page.locator(".stage canvas").nth(2).get_attribute("aria-label")
    assert label.startswith("Axial cut at z = ")
    assert "Overlay" in label


def test_decisions_are_kept_and_seen_by_the_neighbours(folder, open_page):
    from playwright.sync_api import expect

    def is_chosen(mark):
        """Browsers pass decisions on to other pages when they find the time."""
        expect(page.locator(f"[data-mark='{mark}']")).to_have_attribute("aria-pressed", "true", timeout=20_000)

    page = open_page(folder / "a.html")
    page.keyboard.press("f")
    is_chosen("fail")
    page.keyboard.press("j")
    page.wait_for_url("**/b.html*")
    page.wait_for_selector("[data-ready]")
    is_chosen("")
    page.keyboard.press("k")
    page.wait_for_url("**/a.html*")
    page.wait_for_selector("[data-ready]")
    is_chosen("fail")
    assert page.evaluate("JSON.parse(localStorage['warpline cohort']).a.decision") == "fail"
    page.keyboard.press("u")
    assert page.evaluate("localStorage['warpline cohort']") == "{}"


def test_mode_cut_and_amount_go_along_to_the_next_pair(folder, open_page):
    page = open_page(folder / "a.html", reduced_motion="reduce")
    page.get_by_role("button", name="Edges").click()
    page.get_by_label("Edges: from fainter to stronger").fill("40")
    page.get_by_role("slider", name="Coronal cut").fill("3")
    place = page.locator(".stage output").nth(1).inner_text()
    page.keyboard.press("j")
    page.wait_for_url("**/b.html*")
    page.wait_for_selector("[data-ready]")
    assert page.get_by_role("button", name="Edges").get_attribute("aria-pressed") == "true"
    assert page.get_by_label("Edges: from fainter to stronger").input_value() == "40"
    assert page.locator(".stage output").nth(1).inner_text() == place


def test_a_page_tells_its_place_in_the_cohort(folder, open_page):
    page = open_page(folder / "a.html")
    assert page.locator("#verdict").inner_text() == "review" and not page.locator("#previous").is_visible()
    assert page.locator("#reasons > li").all_inner_texts() == ["dice is low", "<b>one</b>", "two", "and 2 more"]
    page.get_by_role("button", name="and 2 more").click()
    assert page.locator("#reasons > li").all_inner_texts()[3:] == ["three", "four"]
    assert page.locator(".measures tr.out th").inner_text() == "Dice"
    assert page.get_by_label("percentile 3 of the cohort").count() == 1


def test_a_page_without_its_script_says_so(folder, open_page, tmp_path):
    (tmp_path / "a.html").write_bytes((folder / "a.html").read_bytes())
    (tmp_path / "a.js").write_text("")
    page = open_page(tmp_path / "a.html")
    assert "a.js is missing beside this page" in page.locator("[data-missing]").inner_text()
    assert not page.locator("#verdict").is_visible()


def test_radiologists_may_look_from_below(folder, open_page):
    page = open_page(folder / "alone.html", reduced_motion="reduce")
    before = colours(page)
    assert "neurological: right of the patient on the right" in page.locator(".legend").inner_text()
    page.get_by_role("button", name="Radiological").click()
    assert "radiological: right of the patient on the left" in page.locator(".legend").inner_text()
    sagittal, coronal, _ = colours(page)
    assert np.abs(sagittal - before[0]).mean() < 1
    mirrored = before[1].reshape(48, 48, 3)[:, ::-1].reshape(-1, 3)
    assert np.abs(coronal - mirrored).mean() < np.abs(coronal - before[1]).mean() / 2


@pytest.mark.parametrize("name", ["a.html", "alone.html"])
def test_axe_finds_nothing_serious(folder, chromium, name):
    assert serious_faults(chromium, folder / name) == []


def test_the_page_is_dark_where_the_system_is(folder, open_page):
    def background(scheme):
        page = open_page(folder / "a.html", color_scheme=scheme)
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    assert background("dark") == "rgb(15, 18, 22)"
    assert background("light") == "rgb(250, 251, 252)"


def test_nothing_is_wider_than_a_telephone(folder, open_page):
    page = open_page(folder / "a.html", viewport={"width": 390, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.locator(".stage canvas").first.bounding_box()["width"] > 300


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read_and_every_picture_has_words(folder, open_page, faint_texts, scheme):
    page = open_page(folder / "a.html", color_scheme=scheme)
    assert faint_texts(page) == []
    assert page.locator("canvas:not([aria-label]), img:not([alt])").count() == 0
    assert page.locator("button:not([aria-label]):empty, input:not([aria-label])").count() == 0


def test_the_uncertainty_is_the_tenth_layer(phantom, open_page, tmp_path):
    spread = Image(
        np.linspace(0, 3, phantom.fixed.data.size, dtype=np.float32).reshape(phantom.fixed.grid.shape),
        phantom.fixed.grid,
    )
    images = phantom.fixed, phantom.moving, phantom.fixed
    write_page(
        report_of(), draw_layers(*images, phantom.transform.parts[0], uncertainty=spread), tmp_path / "page.html"
    )
    page = open_page(tmp_path / "page.html")
    before = colours(page)
    page.keyboard.press(" ")
    assert page.get_by_role("button", name="Flicker", exact=True).get_attribute("aria-pressed") == "true"
    page.keyboard.press("0")
    button = page.get_by_role("button", name="Uncertainty", exact=True)
    assert button.get_attribute("aria-pressed") == "true" and button.get_attribute("title") == "key 0"
    assert "root mean square over perturbed runs" in page.locator(".legend").inner_text()
    assert np.abs(before[0] - colours(page)[0]).mean() > 2
    write_page(report_of("affine"), draw_layers(*images, uncertainty=spread), tmp_path / "linear.html")
    page = open_page(tmp_path / "linear.html")
    page.keyboard.press("7")
    assert page.get_by_role("button", name="Uncertainty", exact=True).get_attribute("aria-pressed") == "true"
    assert page.get_by_role("button", name="Grid", exact=True).count() == 0


def test_a_notebook_shows_the_viewer_in_a_frame(phantom, layers, open_page, tmp_path):
    overlay = tmp_path / "overlay.png"
    write_overlay(phantom.fixed, phantom.moving, phantom.fixed, overlay)
    cell = tmp_path / "cell.html"
    shown = html_viewer(report_of(), layers, {"overlay": overlay})
    cell.write_text(f'<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><p data-ready>{shown}')
    page = open_page(cell)
    frame = page.frame_locator("iframe")
    frame.locator("[data-ready]").wait_for(state="attached")
    frame.get_by_role("button", name="Edges", exact=True).click()
    assert "tissue outlines" in frame.locator(".legend").inner_text()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgba(0, 0, 0, 0)"

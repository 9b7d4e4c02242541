"""The page of a cohort: what is written, and what it does in a browser."""

import json
import re
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest
from playwright.sync_api import expect

from warpline.images import Image
from warpline.report.cohort_page import PACK, CohortView, PageColumn, write_cohort_page
from warpline.report.pair_thumbnail import thumbnail

COUNT = 130
COLUMNS = (
    PageColumn("dice", "Dice", "", "overlap", "Mean Dice", shown=True, low=0.5),
    PageColumn("rotation", "Rotation", "°", "affine", "Angle", shown=True),
    PageColumn("folds", "Folds", "", "deformation", "Folded voxels", shown=True),
    PageColumn("shear", "Shear", "", "affine", "Shear"),
    PageColumn("empty", "Empty", "", "affine", "Nowhere a number", shown=True),
)


@dataclass
class Row:
    """A pair as the page needs it."""

    id: str
    page_state: str
    score: float | None = None
    explanation: str = ""
    flagged: tuple[str, ...] = ()
    columns: dict[str, str] = field(default_factory=dict)


def row_of(number):
    """Three that did not run, seven failed, twenty to review, the rest passed."""
    free = {"site": ("Oxford", "Basel")[number % 2]}
    if number < 3:
        return Row(f"sub-{number:03d}", "error", explanation="scan.nii.gz is <damaged>", columns=free)
    verdict = "fail" if number < 10 else "review" if number < 30 else "pass"
    flagged, reasons = (("dice",), "dice is low; it's \\ odd") if verdict != "pass" else ((), "")
    return Row(f"sub-{number:03d}", verdict, 10 - number / 20, reasons, flagged, free)


def values_of(count):
    number = np.arange(count, dtype=np.float64)
    values = {"dice": 0.3 + number / 300, "rotation": number % 17, "folds": 0 * number}
    values["shear"] = np.where(number % 2, np.nan, 0.5)
    for column in values.values():
        column[:3] = np.nan
    return {**values, "empty": np.full(count, np.nan)}


@pytest.fixture(scope="module")
def picture():
    disc = Image.from_array((np.hypot(*np.mgrid[-1:1:60j, -1:1:60j]) < 0.7).astype(np.uint8))
    return thumbnail(disc, disc)


@pytest.fixture(scope="module")
def index(picture, tmp_path_factory):
    rows = [row_of(number) for number in range(COUNT)]
    about = {"kind": "input_error", "signature": "* is <damaged>", "message": "scan.nii.gz is <damaged>"}
    group = SimpleNamespace(**about, ids=tuple(row.id for row in rows[:3]))
    thumbnails = [None] * 3 + [lambda: picture] * (COUNT - 3)
    more = {"pages": {3: "pairs/one.html"}, "groups": (group,), "thumbnails": thumbnails}
    view = CohortView("key", "Two <sites>", (("workers", "8"),), COLUMNS, values_of(COUNT), rows, **more)
    folder = tmp_path_factory.mktemp("cohort")
    (folder / "pairs").mkdir()
    (folder / "pairs" / "one.html").write_text("<title>one</title>")
    return write_cohort_page(view, folder)


def data_of(index):
    quoted = re.fullmatch(r"const COHORT = JSON.parse\('(.*)'\);\n", (index.parent / "data.js").read_text())[1]
    return json.loads(quoted.replace("\\'", "'").replace("\\\\", "\\"))


def ids(page):
    return page.locator(".row .id").all_inner_texts()


def count(page):
    return page.locator("#count").inner_text()


# -- what is written ------------------------------------------------------------------------------------------------


def test_data_hold_every_row_as_columns(index):
    data = data_of(index)
    assert data["ids"] == [f"sub-{number:03d}" for number in range(COUNT)]
    assert [column["name"] for column in data["columns"]] == ["dice", "rotation", "folds", "shear"]
    dice = json.loads(f"[{data['values'][0]}]")
    assert dice[:3] == [None] * 3
    assert dice[3:] == pytest.approx([0.3 + number / 300 for number in range(3, COUNT)], rel=1e-4)
    assert data["columns"][0]["quartiles"] == pytest.approx(np.percentile(dice[3:], (0, 25, 50, 75, 100)), rel=1e-3)
    assert data["reasons"]["3"] == "dice is low; it's \\ odd"
    assert data["flagged"]["3"] == [0]
    assert data["groups"][0]["rows"] == [0, 1, 2]
    assert data["pages"] == {"3": "pairs/one.html"}


def test_thumbnails_are_packed_worst_first(index, picture):
    packs = sorted((index.parent / "thumbs").iterdir())
    assert len(packs) == -(-COUNT // PACK)
    number, pictures = re.fullmatch(r"takePack\((\d+), (.*)\);\n", packs[0].read_text()).groups()
    assert number == "0"
    assert json.loads(pictures)[:3] == [""] * 3
    assert len(json.loads(pictures)) == PACK


def test_text_of_manifests_is_never_markup(index):
    assert "<sites>" not in index.read_text()
    assert "Two &lt;sites&gt;" in index.read_text()


def test_a_cohort_without_results_has_a_page(tmp_path, open_page):
    view = CohortView("key", "none yet", (), COLUMNS, values_of(1), [Row("a", "todo")])
    page = open_page(write_cohort_page(view, tmp_path))
    assert count(page) == "1 pair"
    assert page.locator(".tiles .todo b").inner_text() == "1"


# -- what it does ---------------------------------------------------------------------------------------------------


def test_opens_worst_first_with_tiles_failures_and_strips(index, open_page):
    page = open_page(index)
    assert ids(page)[:4] == ["sub-000", "sub-001", "sub-002", "sub-003"]
    assert [page.locator(f".tiles .{name} b").inner_text() for name in ("fail", "review", "pass", "error")] == [
        *("7", "20", "100", "3")
    ]
    assert "scan.nii.gz is <damaged>" in page.locator(".groups").inner_text()
    assert page.locator(".strip").count() == 2
    assert "Folds 0" in page.locator(".same").inner_text()
    assert page.locator(".row").count() < 60
    assert page.locator("#list").get_attribute("aria-rowcount") == str(COUNT + 1)


def test_scrolling_reaches_the_last_pair(index, open_page):
    page = open_page(index)
    page.locator("#list").evaluate("list => { list.scrollTop = list.scrollHeight; }")
    page.wait_for_selector("text=sub-129")
    assert "sub-000" not in ids(page)


def test_sorts_up_down_and_back(index, open_page):
    page = open_page(index)
    head = page.get_by_role("button", name="Dice", exact=True)
    head.click()
    assert ids(page)[0] == "sub-003"
    head.click()
    assert ids(page)[0] == "sub-129"
    assert page.locator("[aria-sort=descending]").inner_text().startswith("Dice")
    head.click()
    assert ids(page)[0] == "sub-000"


@pytest.mark.parametrize(
    ("search", "left"),
    [
        ("sub-01", 10),
        ("dice<0.4", 27),
        ("dice<0.4 -verdict:review", 7),
        ("site:basel", 65),
        ("verdict:error", 3),
        ("damaged", 3),
        ("constructor:x", 0),
        ("decision:none", 130),
        ("rotation=16 dice>=0.5", 4),
    ],
)
def test_searches_words_and_columns(index, open_page, search, left):
    page = open_page(index)
    page.locator("#search").fill(search)
    page.wait_for_timeout(50)
    assert count(page).split()[0] == str(left)


def test_tiles_and_failure_groups_filter(index, open_page):
    page = open_page(index)
    page.locator(".tiles .fail").click()
    page.locator(".tiles .review").click()
    assert count(page) == "27 of 130"
    assert page.locator(".tiles .fail").get_attribute("aria-pressed") == "true"
    page.keyboard.press("Escape")
    assert count(page) == "130 pairs"
    page.locator(".groups").get_by_role("button", name="Show").click()
    assert ids(page) == ["sub-000", "sub-001", "sub-002"]


def test_brushing_a_strip_keeps_a_range(index, open_page):
    page = open_page(index)
    box = page.locator(".strip canvas").first.bounding_box()
    page.mouse.move(box["x"] + 1, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 25)
    page.mouse.up()
    assert "Dice" in page.locator(".ranges button").inner_text()
    assert 55 <= int(count(page).split()[0]) <= 72
    page.locator(".ranges button").click()
    assert count(page) == "130 pairs"


def test_a_strip_names_pairs_and_a_click_chooses_one(index, open_page):
    page = open_page(index)
    spot = page.evaluate("""() => {
        const strip = strips[0], { left, top, width, height } = strip.canvas.getBoundingClientRect();
        return [left + stripX(strip, strip.column.values[50], width), top + 8 + scatter(50) * (height - 16)];
    }""")
    page.mouse.move(*spot)
    assert page.locator(".tip").inner_text() == "sub-050"
    page.mouse.click(*spot)
    assert page.locator(".panel h2").inner_text() == "sub-050"


def test_keys_move_decide_and_open(index, open_page):
    page = open_page(index)
    for key in ("j", "ArrowDown", "j", "j", "k", "ArrowDown", "f", "j", "R"):
        page.keyboard.press(key)
    assert page.evaluate("marks") == {"sub-003": {"decision": "fail"}, "sub-004": {"decision": "review"}}
    assert page.locator(".panel h2").inner_text() == "sub-005"
    assert page.locator("#list").get_attribute("aria-activedescendant") == "row-5"
    page.keyboard.press("ArrowUp")
    page.keyboard.press("u")
    assert page.evaluate("Object.keys(marks)") == ["sub-003"]
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    page.wait_for_url("**/pairs/one.html")


def test_slash_searches_and_question_mark_helps(index, open_page):
    page = open_page(index)
    page.keyboard.press("/")
    page.keyboard.type("sub-007")
    page.wait_for_timeout(50)
    assert ids(page) == ["sub-007"]
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    assert page.locator("dialog").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("dialog").is_visible()


def test_decisions_are_exported_kept_and_imported(index, open_page, tmp_path):
    page = open_page(index)
    page.get_by_text("sub-004", exact=True).click()
    page.get_by_label("Note on this pair").fill("neck\tis cut")
    page.get_by_role("group", name="Your decision").get_by_role("button", name="fail").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Export decisions").click()
    assert download.value.suggested_filename == "decisions.tsv"
    path = tmp_path / "decisions.tsv"
    download.value.save_as(path)
    assert path.read_text() == "id\tdecision\tnote\nsub-004\tfail\tneck is cut\n"
    page.reload()
    page.wait_for_selector("[data-ready]")
    assert page.locator("#row-4 .fail").first.inner_text() == "fail"
    fresh = open_page(index)
    assert fresh.evaluate("marks") == {}
    fresh.locator("#import").set_input_files(path)
    expect(fresh.locator("#count")).to_have_text("1 decisions taken over")
    assert fresh.evaluate("marks") == {"sub-004": {"decision": "fail", "note": "neck is cut"}}
    path.write_text("no header\n")
    fresh.locator("#import").set_input_files(path)
    expect(fresh.locator("#count")).to_contain_text("cannot be read")


def test_the_address_keeps_the_state(index, open_page):
    page = open_page(index)
    page.locator("#search").fill("site:oxford")
    page.wait_for_timeout(50)
    page.locator(".tiles .review").click()
    page.get_by_role("button", name="Rotation", exact=True).click()
    page.keyboard.press("j")
    address, before = page.url, ids(page)
    assert len(before) == 10
    other = open_page(index, "#" + address.partition("#")[2])
    assert ids(other) == before
    assert other.locator("#search").input_value() == "site:oxford"
    assert other.locator(".panel h2").inner_text() == before[0]


def test_thumbnails_overlay_flip_and_name_what_they_show(index, open_page):
    page = open_page(index, "#v=fail")
    page.keyboard.press("t")
    page.wait_for_selector(".tile .thumb i")
    assert page.locator(".tile").count() == 7
    assert "sub-003" in page.locator(".tile .thumb").first.get_attribute("aria-label")
    halves = [page.locator(f".tile .{name}").first for name in ("f", "w")]
    colours = [half.evaluate("half => getComputedStyle(half).backgroundColor") for half in halves]
    assert colours == ["rgb(0, 255, 0)", "rgb(255, 0, 255)"]
    page.keyboard.press(" ")
    assert page.locator(".tile .w").first.is_hidden()
    page.keyboard.press(" ")
    assert page.locator(".tile .f").first.is_hidden()
    page.keyboard.press("ArrowRight")
    assert page.locator(".tile.chosen").count() == 1


def test_columns_are_chosen(index, open_page):
    page = open_page(index)
    page.get_by_text("Columns", exact=True).click()
    page.get_by_role("checkbox", name="Shear").check()
    page.get_by_role("checkbox", name="Dice").uncheck()
    heads = page.locator(".head").inner_text()
    assert "Shear" in heads
    assert "Dice" not in heads
    assert page.locator(".strip").count() == 1


def test_outliers_stand_out_and_strange_text_stays_text(index, open_page):
    page = open_page(index)
    assert page.locator("#row-3 .out").inner_text() == "0.31"
    assert page.locator("#row-40 .out, #row-0 .out").count() == 0
    page.get_by_text("sub-001", exact=True).click()
    assert page.locator(".panel li").inner_text() == "scan.nii.gz is <damaged>"


def test_the_page_is_dark_where_the_system_is(index, open_page):
    dark, light = (open_page(index, color_scheme=scheme) for scheme in ("dark", "light"))
    shade = "getComputedStyle(document.body).backgroundColor"
    assert (dark.evaluate(shade), light.evaluate(shade)) == ("rgb(15, 18, 22)", "rgb(250, 251, 252)")


def test_nothing_is_wider_than_a_telephone(index, open_page):
    page = open_page(index, viewport={"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read_and_every_picture_has_words(index, open_page, faint_texts, scheme):
    page = open_page(index, color_scheme=scheme)
    page.get_by_text("sub-004", exact=True).click()
    assert faint_texts(page) == []
    assert page.locator("canvas:not([aria-label]), .thumb:has(i):not([aria-label])").count() == 0
    assert page.locator("button:not([aria-label]):empty, input:not([aria-label]):not([type=checkbox])").count() == 0

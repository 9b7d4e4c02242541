"""Fixtures of the report's tests."""

from __future__ import annotations

import shutil

import pytest
from playwright.sync_api import sync_playwright

from warpline.phantom import brain_pair
from warpline.report.pair_layers import draw_layers


@pytest.fixture(scope="session")
def phantom():
    """A small pair of synthetic brains."""
    return brain_pair((48, 56, 48), voxel_size=4.0)


@pytest.fixture(scope="session")
def layers(phantom):
    """The layers of the viewer, drawn once."""
    return draw_layers(phantom.fixed, phantom.moving, phantom.fixed, phantom.transform.parts[0])


@pytest.fixture(scope="session")
def chromium():
    """A headless browser."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("no Chromium on this machine; install the package chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium):
    """Opens a file in the browser; at the end of the test no page may have complained or asked for another file."""
    complaints, contexts = [], []

    def open_(path, address="", **options):
        context = chromium.new_context(**{"viewport": {"width": 900, "height": 700}, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        folder = path.parent.as_uri()
        page.on("request", lambda request: inside(request.url, folder) or complaints.append(request.url))
        page.goto(path.as_uri() + address)
        page.wait_for_selector("[data-ready]")
        return page

    yield open_
    for context in contexts:
        context.close()
    assert complaints == []


def inside(address, folder):
    """Whether an address is part of the page itself: of its folder, or written into it."""
    return address.startswith((folder, "data:", "blob:"))


CONTRASTS = """() => {
    const numbers = text => text.match(/[\\d.]+/g).map(Number);
    const light = ([r, g, b]) => [.2126, .7152, .0722].reduce((sum, share, at) => {
        const c = [r, g, b][at] / 255;
        return sum + share * (c <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4);
    }, 0);
    const behind = node => {
        for (; node; node = node.parentElement) {
            const colour = numbers(getComputedStyle(node).backgroundColor);
            if (colour.length === 3 || colour[3] === 1) return colour;
        }
        return [255, 255, 255];
    };
    const texts = [...document.querySelectorAll("body *")].filter(node =>
        node.checkVisibility() && [...node.childNodes].some(child => child.nodeType === 3 && /[\\w]/.test(child.data)));
    return texts.map(node => {
        const [one, other] = [light(numbers(getComputedStyle(node).color)), light(behind(node))].sort((a, b) => b - a);
        return [(one + .05) / (other + .05), node.textContent.trim().slice(0, 40)];
    });
}"""


@pytest.fixture(scope="session")
def faint_texts():
    """Texts of a page whose contrast with what lies behind them is below 4.5 (WCAG 2.2, 1.4.3)."""
    return lambda page: [(round(ratio, 2), text) for ratio, text in page.evaluate(CONTRASTS) if ratio < 4.5]

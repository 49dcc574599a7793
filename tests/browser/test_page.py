"""The page in a real browser, as wide as a phone and as wide as a desk."""

import json
import os
import shutil
from pathlib import Path

import pandas as pd
import pytest

import aibmd
from aibmd.bmd_change import fit_withdrawal
from aibmd.report import Origin, write_withdrawal_report
from aibmd.resources import analysis_path

pytestmark = pytest.mark.browser

BROWSER = Path("/usr/bin/chromium")
DRIVER = Path("/usr/bin/chromedriver")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def require_browser():
    if BROWSER.exists() and DRIVER.exists():
        return
    message = f"{BROWSER} and {DRIVER} are needed: apt-get install chromium chromium-driver"
    if os.environ.get("AIBMD_REQUIRE_BROWSER") == "1":
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page of the shipped analysis, alone in a folder: it must need nothing beside it."""
    require_browser()
    cohort = aibmd.load_cohort("brex")
    published = pd.read_csv(analysis_path("brex_withdrawal", "published.csv"))
    result = fit_withdrawal(cohort, published=published)
    paths = write_withdrawal_report(
        result, cohort, tmp_path_factory.mktemp("out"), Origin("brex", 1, "aibmd reproduce")
    )
    alone = tmp_path_factory.mktemp("alone") / "report.html"
    shutil.copy(paths[-1], alone)
    return alone


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    require_browser()
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = str(BROWSER)
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    yield driver
    driver.quit()


def open_page(browser, page, width):
    """Show the page at a width; messages of the console, and addresses that were asked for."""
    for log in ("browser", "performance"):
        browser.get_log(log)
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600},
    )
    browser.get(page.as_uri())
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]
    return browser.get_log("browser"), asked


@pytest.mark.parametrize("width", [375, 1200])
def test_the_page_is_whole_at_the_width_of_a_phone_and_of_a_desk(browser, page, width):
    console, asked = open_page(browser, page, width)
    assert console == []
    assert page.as_uri() in asked
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    images = browser.execute_script(
        "return [...document.images].map(i => [i.complete, i.naturalWidth])"
    )
    assert len(images) == 1
    assert all(complete and natural > 0 for complete, natural in images)
    scroll, client = browser.execute_script(
        "const e = document.documentElement; return [e.scrollWidth, e.clientWidth]"
    )
    assert scroll == client
    if width == 375:
        assert scroll == 375


def test_tables_wider_than_a_phone_scroll_inside_themselves(browser, page):
    open_page(browser, page, 375)
    wide = browser.execute_script(
        "return [...document.querySelectorAll('.scroll')]"
        ".map(e => [e.scrollWidth > e.clientWidth, e.getBoundingClientRect().right])"
    )
    assert len(wide) == 9
    assert any(scrolls for scrolls, _ in wide)
    assert all(right <= 375 for _, right in wide)


def test_the_console_is_really_watched(browser, tmp_path):
    bad = tmp_path / "bad.html"
    bad.write_text("<img src='missing.png'><script>throw new Error('x')</script>")
    console, asked = open_page(browser, bad, 375)
    assert console
    assert (tmp_path / "missing.png").as_uri() in asked

"""The pages in a browser: each message is shown within a second, once, whoever has saved it."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx
import pytest
from processes import Writer, running
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service as Driver
from selenium.webdriver.common.by import By

COUNT = 1000
COUNT_WITH_OUTAGES = 400
PATIENCE_SECONDS = 60

# What is shown, and when: noted by the browser at the moment when it is put into the page.
OBSERVE = """
window.noted = [];
const now = () => (performance.timeOrigin + performance.now()) / 1000;
new MutationObserver((changes) => {
  for (const change of changes) {
    for (const line of change.addedNodes) window.noted.push([line.dataset.id, now()]);
  }
}).observe(document.getElementById("messages"), { childList: true });
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """A browser without a window."""
    programs = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if None in programs:
        reason = "the packages chromium and chromium-driver are not installed"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    chromium, driver = programs
    options = ChromeOptions()
    options.binary_location = chromium or ""
    profile = tmp_path_factory.mktemp("profile")
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(argument)
    options.add_argument(f"--user-data-dir={profile}")
    started = Chrome(options=options, service=Driver(driver))
    yield started
    started.quit()


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for something."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end, f"not within {PATIENCE_SECONDS} s: {what}"
        time.sleep(0.05)


def run(browser: Chrome, script: str) -> Any:
    """Run a script in the page."""
    return browser.execute_script(script)  # pyright: ignore[reportUnknownMemberType]


def open_channel(browser: Chrome, place: str, channel: str) -> None:
    """Look at the page of a channel, and note what is shown from then on."""
    browser.get(f"{place}/?channel={channel}")
    state = browser.find_element(By.ID, "state")
    until(lambda: state.text == "live", "the page is live")
    run(browser, OBSERVE)


def noted(browser: Chrome) -> list[tuple[str, float]]:
    """Tell which messages were shown, and when."""
    return [(key, moment) for key, moment in run(browser, "return window.noted")]


def complaints(browser: Chrome) -> list[object]:
    """Take what the browser has complained of from its log."""
    found: list[object] = browser.get_log("browser")  # type: ignore[no-untyped-call]
    return found


def shows(browser: Chrome, count: int) -> bool:
    """Tell whether so many messages were shown."""
    return len(noted(browser)) >= count


def test_a_message_is_shown_within_a_second_of_its_being_saved(
    browser: Chrome, url: str, name: str
) -> None:
    with running(url, workers=2) as service:
        open_channel(browser, service.place, name)
        saved = Writer(url, name, COUNT).saved()
        until(partial(shows, browser, len(saved)), "all messages are shown")
        shown = noted(browser)

    assert len(saved) == COUNT
    assert sorted(key for key, _ in shown) == sorted(saved)
    delays = sorted(moment - saved[key] for key, moment in shown)
    print(f"shown after {delays[len(delays) // 2]:.3f} s, at most {delays[-1]:.3f} s")
    assert delays[-1] < 1


def test_no_message_is_missing_and_none_is_shown_twice_when_the_service_is_restarted(
    browser: Chrome, url: str, name: str
) -> None:
    with running(url) as service:
        open_channel(browser, service.place, name)
        writer = Writer(url, name, COUNT_WITH_OUTAGES)
        for enough, end in ((50, service.kill), (150, service.stop)):
            until(partial(shows, browser, enough), "some are shown")
            end()
            service.start()
        saved = writer.saved()
        until(partial(shows, browser, len(saved)), "all messages are shown")
        shown = noted(browser)

    assert len(saved) == COUNT_WITH_OUTAGES
    assert sorted(key for key, _ in shown) == sorted(saved)


def test_the_dashboard_shows_what_the_database_has_added_up(browser: Chrome, url: str) -> None:
    fill = [sys.executable, "-m", "service.fill"]
    subprocess.run(fill, env={**os.environ, "SYNTHORG_DATABASE_URL": url}, check=True)
    with running(url) as service:
        browser.get("about:blank")  # the page before may be trying to connect again
        complaints(browser)
        browser.get(f"{service.place}/dashboard")
        until(browser.find_element(By.ID, "shown").is_displayed, "the chart is drawn")
        since = (datetime.now(UTC) - timedelta(days=29)).strftime("%Y-%m-%dT00:00:00Z")
        totals = httpx.get(
            f"{service.place}/costs/totals", params={"by": "agent_id", "since": since}
        ).json()

    calls = sum(total["records"] for total in totals)
    assert browser.find_element(By.ID, "calls").text == f"{calls:,}"
    assert len(browser.find_elements(By.CSS_SELECTOR, "#chart rect")) > 29
    # Nothing has failed, and nothing was refused for being from elsewhere.
    assert complaints(browser) == []

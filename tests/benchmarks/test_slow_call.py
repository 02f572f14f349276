"""The page on finding a slow call tells what was recorded, with the dashboard as it is."""

import json
import re
from typing import Any, Final

import pytest

from benchmarks.recording import DASHBOARD, OUTPUT, PICTURES, Recording
from tests.listings import CHECKOUT, listings

PAGE: Final = CHECKOUT / "docs" / "operators" / "finding-a-slow-call.md"


@pytest.fixture(scope="module")
def recording() -> Recording:
    """What was recorded."""
    return Recording.load(OUTPUT / "recorded.json")


@pytest.fixture(scope="module")
def dashboard() -> Any:
    """The dashboard."""
    return json.loads(DASHBOARD.read_text())


def test_each_query_of_the_dashboard_was_answered(recording: Recording, dashboard: Any) -> None:
    asked = {target["expr"] for panel in dashboard["panels"] for target in panel["targets"]}
    assert set(recording.answers) == asked


def test_the_log_on_the_page_was_logged(recording: Recording) -> None:
    (shown,) = listings(PAGE, "text")
    assert shown.text.strip() in "\n".join(recording.log)


def test_the_slow_call_is_where_most_time_goes_while_it_is_slow_and_at_no_other_time(
    recording: Recording, dashboard: Any
) -> None:
    (panel,) = [each for each in dashboard["panels"] if each["title"] == "Where the time goes"]
    (target,) = panel["targets"]
    during, after = PICTURES["during"], PICTURES["after"]
    values = {
        moment: {
            each.name: dict(each.points).get(moment, 0.0)
            for each in recording.answers[target["expr"]]
        }
        for moment in (during, after)
    }
    assert max(values[during], key=values[during].__getitem__) == "page own_tasks"
    assert max(values[after], key=values[after].__getitem__) != "page own_tasks"


@pytest.mark.parametrize(("name", "until"), PICTURES.items())
def test_the_pictures_show_the_recording(
    recording: Recording, dashboard: Any, name: str, until: float
) -> None:
    pytest.importorskip("drawsvg", reason="the extra bench is not installed")
    from benchmarks.dashboard import draw  # noqa: PLC0415 (see above)

    picture = (OUTPUT / f"{name}.svg").read_text()
    assert picture == f"{draw(dashboard, recording, until).as_svg()}\n"
    assert f"slow-call/{name}.svg" in PAGE.read_text()
    for panel in dashboard["panels"]:
        assert panel["title"].replace("'", "&#39;") in picture or panel["title"] in picture


def test_the_page_names_panels_that_there_are(dashboard: Any) -> None:
    titles = " ".join(panel["title"] for panel in dashboard["panels"])
    named = re.findall(r"\*\*([^*]+)\*\*", PAGE.read_text().replace("\n", " "))
    assert named
    assert all(name in titles for name in named)

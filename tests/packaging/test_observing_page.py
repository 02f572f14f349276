"""The page on observing and its dashboard name what there is, and nothing else."""

import json
import re
import runpy
from pathlib import Path
from typing import Any, Final

import pytest

from synthorg.persistence import DuplicateRecordError, PersistenceConfig, create_backend
from synthorg.persistence.config import DATABASE_URL_VARIABLE
from synthorg.persistence.testing.kinds import AUDIT_ENTRIES, TASKS
from tests.conformance.test_telemetry import Exported
from tests.listings import CHECKOUT, listings

PAGE: Final = CHECKOUT / "docs" / "operators" / "observing.md"
DASHBOARD: Final = PAGE.with_name("observing-dashboard.json")

UNITS: Final = {"s": "_seconds", "By": "_bytes"}
"""What Prometheus's exporter adds to a name; units in braces are left out."""

OF_PROMETHEUS: Final = {
    "by", "count", "histogram_quantile", "le", "max", "min_over_time", "rate", "sum", "topk",
}  # fmt: skip


def rows_below(heading: str) -> list[list[str]]:
    """Read the rows of all tables below a heading, without their heads."""
    _, _, text = PAGE.read_text().partition(f"{heading}\n")
    section = re.split(r"^#", text, maxsplit=1, flags=re.MULTILINE)[0]
    tables = re.findall(r"(?:^\|.*\n)+", section, re.MULTILINE)
    assert tables
    return [row.strip("|").split(" | ") for table in tables for row in table.splitlines()[2:]]


async def metrics_of_some_calls(tmp_path: Path) -> dict[str, Any]:
    """Give the metrics of what most programs do."""
    told = Exported()
    config = PersistenceConfig.from_url(f"sqlite:///{tmp_path / 'a.db'}")
    async with create_backend(config, observers=[told.observer], migrate=True) as backend:
        await backend.audit_entries.save(AUDIT_ENTRIES.example)
        with pytest.raises(DuplicateRecordError):
            await backend.audit_entries.save(AUDIT_ENTRIES.example)
        async with backend.transaction() as unit:
            await unit.tasks.save(TASKS.example)
            return {**told.metrics}  # while a unit is open


def in_prometheus(name: str, unit: str, kind: str) -> set[str]:
    """Give the names of a metric in Prometheus."""
    stem = name.replace(".", "_") + UNITS.get(unit, "")
    if kind == "histogram":
        return {f"{stem}_{part}" for part in ("bucket", "count", "sum")}
    return {f"{stem}_total" if kind == "counter" else stem}


def known_names() -> set[str]:
    """Give the names of all metrics of the page in Prometheus."""
    rows = rows_below("### Metrics")
    return set().union(*(in_prometheus(row[0].strip(" `"), row[2], row[1]) for row in rows))


def attribute_names() -> set[str]:
    """Give the names of attributes of metrics, as labels."""
    named = re.findall(r"`((?:db|server|error)\.[a-z_.]+)`", PAGE.read_text())
    return {name.replace(".", "_") for name in named}


async def test_the_page_lists_every_metric_with_its_kind_and_unit(tmp_path: Path) -> None:
    listed = {row[0].strip(" `"): (row[1], row[2]) for row in rows_below("### Metrics")}
    source = (CHECKOUT / "src/synthorg/persistence/telemetry.py").read_text()
    made = set(re.findall(r'"((?:db\.client|synthorg\.db)\.[a-z_.]+)"', source))
    of_spans = {name.strip(" `") for row in rows_below("### Spans") for name in row[0].split(", ")}
    assert set(listed) <= made
    for name, metric in (await metrics_of_some_calls(tmp_path)).items():
        kind, unit = listed[name]
        assert metric.unit == unit, name
        assert (type(metric.data).__name__ == "Histogram") == (kind == "histogram"), name
        assert (type(metric.data).__name__ == "Gauge") == (kind == "gauge"), name
        assert getattr(metric.data, "is_monotonic", False) == (kind == "counter"), name
    assert made - set(listed) <= of_spans | {
        "db.client.connection.pool.name",
        "db.client.connection.state",
        "synthorg.db.attempts",
        "synthorg.db.route",
        "synthorg.db.connection.wait_time",
    }


def expressions() -> list[str]:
    """Give all that the dashboard and the alerts ask Prometheus."""
    dashboard: Any = json.loads(DASHBOARD.read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    alerts = [
        row[1].strip(" `").replace("\\|", "|") for row in rows_below("### Alerts that matter")
    ]
    return [*asked, *alerts]


@pytest.mark.parametrize("expression", expressions())
def test_the_dashboard_and_the_alerts_ask_for_nothing_that_is_not_there(expression: str) -> None:
    bare = re.sub(r'"[^"]*"|\$__rate_interval', "", expression)
    names = set(re.findall(r"\b[a-z_]{2,}\b", bare)) - OF_PROMETHEUS
    asked = {name for name in names if name.startswith(("db_client", "synthorg_db"))}
    labels = {"db_client_connection_pool_name", "db_client_connection_state"}
    assert asked - labels <= known_names()
    assert asked - labels
    assert names - asked <= attribute_names()


def test_each_panel_says_what_it_is_for() -> None:
    dashboard: Any = json.loads(DASHBOARD.read_text())
    assert all(panel["title"] and panel["description"] for panel in dashboard["panels"])
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


async def test_the_listings_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DATABASE_URL_VARIABLE, f"sqlite:///{tmp_path / 'agents.db'}")
    files = {listing.name: listing.write(tmp_path) for listing in listings(PAGE, "python")}
    async with runpy.run_path(str(files["observed.py"]))["make_backend"]() as backend:
        await backend.migrate()
    counter = runpy.run_path(str(files["counting.py"]))["ErrorCounter"]()
    config = PersistenceConfig.from_env()
    async with create_backend(config, observers=[counter]) as backend:
        await backend.audit_entries.save(AUDIT_ENTRIES.example)
        with pytest.raises(DuplicateRecordError):
            await backend.audit_entries.save(AUDIT_ENTRIES.example)
    assert counter.errors == {("audit_entries", "save", "DuplicateRecordError"): 1}

"""Records are stored, read and listed, and a client is told what cannot be done."""

import asyncio
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from httpx import AsyncClient

TOO_LONG = "x" * 300


def a_task(project: str, title: str = "Write the report") -> dict[str, str]:
    return {
        "title": title,
        "description": "Two pages",
        "type": "research",
        "project": project,
        "created_by": "ada",
    }


async def make_task(client: AsyncClient, project: str) -> str:
    made = await client.post("/tasks", json=a_task(project))
    assert made.status_code == 201
    task_id: str = made.json()["id"]
    return task_id


def a_workflow(workflow_id: str, version: int, name: str = "Release") -> dict[str, object]:
    nodes = [{"id": kind, "label": kind, "type": kind} for kind in ("start", "end")]
    return {
        "id": workflow_id,
        "name": name,
        "nodes": nodes,
        "created_by": "ada",
        "version": version,
    }


async def test_a_task_is_made_read_moved_and_deleted(client: AsyncClient, name: str) -> None:
    path = f"/tasks/{await make_task(client, name)}"
    assert (await client.get(path)).json()["status"] == "created"

    step = {"status": "assigned", "assigned_to": "bob"}
    assert (await client.post(f"{path}/status", json=step)).json()["assigned_to"] == "bob"
    assert (await client.get(path)).json()["status"] == "assigned"

    assert (await client.delete(path)).status_code == 204
    assert (await client.delete(path)).status_code == 404
    assert (await client.get(path)).status_code == 404
    assert (await client.post(f"{path}/status", json=step)).status_code == 404


async def test_a_task_goes_only_where_it_may(client: AsyncClient, name: str) -> None:
    path = f"/tasks/{await make_task(client, name)}"
    refused = await client.post(f"{path}/status", json={"status": "completed"})
    assert refused.status_code == 409
    assert "cannot go from created to completed" in refused.json()["detail"]


async def test_of_many_that_take_a_task_one_gets_it(client: AsyncClient, name: str) -> None:
    path = f"/tasks/{await make_task(client, name)}/status"
    steps = [{"status": "assigned", "assigned_to": f"agent-{number}"} for number in range(8)]
    answers = await asyncio.gather(*[client.post(path, json=step) for step in steps])
    # Who met others again and again is told to come back, and has stored nothing.
    told = [answer.status_code for answer in answers if answer.status_code != 503]
    assert sorted(told) == [200, *[409] * (len(told) - 1)]


async def test_a_list_is_walked_through_by_pages(client: AsyncClient, name: str) -> None:
    made = {await make_task(client, name) for _ in range(5)}
    found: list[str] = []
    query: dict[str, str | int] = {"project": name, "limit": 2}
    while True:
        page = (await client.get("/tasks", params=query)).json()
        found += [task["id"] for task in page["items"]]
        if page["next_cursor"] is None:
            break
        query["after"] = page["next_cursor"]
    assert sorted(found) == sorted(made)


async def test_a_cursor_of_another_list_is_refused(client: AsyncClient, name: str) -> None:
    for _ in range(2):
        await make_task(client, name)
    page = (await client.get("/tasks", params={"project": name, "limit": 1})).json()
    for path in ("/tasks", "/workflows", "/costs", f"/channels/{name}/messages"):
        refused = await client.get(path, params={"after": page["next_cursor"]})
        assert refused.status_code == 400
        assert refused.headers["Content-Type"] == "application/problem+json"
        assert "not a cursor of this list" in refused.json()["detail"]


async def test_a_message_is_stored_once(client: AsyncClient, name: str) -> None:
    path = f"/channels/{name}/messages"
    message = {"id": str(uuid4()), "sender": "ada", "to": "bob", "content": "Off we go"}
    sent = await client.post(path, json=message)
    assert sent.status_code == 201
    again = await client.post(path, json={**message, "content": "Wait"})
    assert again.status_code == 409
    assert (await client.get(path)).json() == {"items": [sent.json()], "next_cursor": None}
    assert sent.json()["from"] == "ada"


async def test_of_two_that_save_the_same_version_one_is_told(
    client: AsyncClient, name: str
) -> None:
    path = f"/workflows/{name}"
    assert (await client.put(path, json=a_workflow(name, 1))).status_code == 200
    assert (await client.put(path, json=a_workflow(name, 2, "Mine"))).status_code == 200
    assert (await client.put(path, json=a_workflow(name, 2, "Theirs"))).status_code == 409
    assert (await client.get(path)).json()["name"] == "Mine"
    assert (await client.get(f"/workflows/{uuid4()}")).status_code == 404
    assert (await client.put(path, json=a_workflow("other", 3))).status_code == 400


async def test_costs_are_added_up(client: AsyncClient, name: str) -> None:
    cost = {
        "agent_id": name,
        "task_id": name,
        "provider": "example",
        "model": "small",
        "input_tokens": 10,
        "output_tokens": 5,
        "cost_usd": 0.25,
        "timestamp": datetime(2026, 3, 1, 12, tzinfo=UTC).isoformat(),
    }
    for _ in range(3):
        assert (await client.post("/costs", json=cost)).status_code == 201
    query = {"by": ["day", "agent_id"], "since": "2026-03-01T00:00:00Z"}
    totals = (await client.get("/costs/totals", params=query)).json()
    (mine,) = [total for total in totals if total["agent_id"] == name]
    assert (mine["day"], mine["cost_usd"], mine["records"]) == ("2026-03-01", 0.75, 3)
    page = (await client.get("/costs", params={"agent_id": name, "limit": 2})).json()
    assert len(page["items"]) == 2


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("/tasks", {"limit": 0}, 422),
        ("/tasks", {"status": "done"}, 422),
        ("/tasks", {"project": TOO_LONG}, 400),
        (f"/tasks/{TOO_LONG}", {}, 400),
        ("/tasks/%00", {}, 400),
        (f"/channels/{TOO_LONG}/messages", {}, 422),
        ("/costs/totals", {}, 422),
        ("/costs/totals", {"by": "weather"}, 422),
    ],
)
async def test_what_cannot_be_is_the_clients_mistake(
    client: AsyncClient, path: str, query: dict[str, str | int], status: int
) -> None:
    assert (await client.get(path, params=query)).status_code == status


async def test_a_record_that_could_not_be_read_again_is_refused(
    client: AsyncClient, name: str
) -> None:
    for wrong in ({"project": TOO_LONG}, {"title": " "}, {"title": "\0"}):
        refused = await client.post("/tasks", json={**a_task(name), **wrong})
        assert refused.status_code == 422


async def test_it_lives_and_is_ready(client: AsyncClient, url: str) -> None:
    assert (await client.get("/live")).status_code == 204
    ready = await client.get("/ready")
    assert ready.status_code == 200
    assert ready.json()["is_ready"] is True
    assert ready.json()["backend_name"] == url.partition(":")[0]


@pytest.mark.parametrize("path", ["/", "/dashboard"])
async def test_the_pages_and_what_they_load_are_its_own(client: AsyncClient, path: str) -> None:
    page = await client.get(path)
    assert page.headers["Content-Security-Policy"] == "default-src 'self'"
    assert "http" not in page.text
    for part in page.text.split('"'):
        if part.startswith("/"):
            assert (await client.get(part)).status_code == 200

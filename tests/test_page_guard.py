"""Requests that do not come from the page itself, or would have its server fetch something."""

import json

import pytest

pytest.importorskip("gradio")
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from ombre.page.guard import MOST, Guard

OWN = "http://127.0.0.1:7860"


@pytest.fixture
def client() -> TestClient:
    async def answer(request):
        return PlainTextResponse((await request.body()).decode()[:100])

    routes = [Route("/", answer), Route("/{path:path}", answer, methods=["GET", "POST"])]
    return TestClient(Guard(Starlette(routes=routes), pages=("/", "/en/")), base_url=OWN)


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://elsewhere.org"},
        {"origin": "http://127.0.0.1:9000"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_other_pages_may_neither_write_nor_read(client, headers):
    assert client.post("/gradio_api/upload", content=b"x", headers=headers).status_code == 403
    assert client.get("/picture/a/0/small", headers=headers).status_code == 403


def test_the_page_itself_may_and_a_link_may_lead_to_it(client):
    own = {"origin": OWN, "sec-fetch-site": "same-origin"}
    assert client.post("/gradio_api/queue/join", content=b'{"data": [0.5]}', headers=own).text == '{"data": [0.5]}'
    assert client.get("/en/", headers={"sec-fetch-site": "cross-site"}).status_code == 200
    assert client.get("/picture/a/0/small", headers={"sec-fetch-site": "none"}).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/en/gradio_api/file=https://example.org/a.png",
        "/gradio_api/file=http%3A%2F%2F10.0.0.1/",
        "/gradio_api/proxy=https://a.b/",
    ],
)
def test_nothing_is_fetched_by_its_address(client, path):
    assert client.get(path).status_code == 403
    assert client.get("/en/gradio_api/file=/tmp/gradio/a.png").status_code == 200


@pytest.mark.parametrize("place", ["https://example.org/a.png", "//example.org/a.png", "http://127.0.0.1:9000/a"])
@pytest.mark.parametrize("field", ["path", "url"])
def test_a_file_that_lies_elsewhere_is_no_file(client, place, field):
    body = json.dumps({"data": [{field: place, "meta": {"_type": "gradio.FileData"}}]})
    assert client.post("/gradio_api/queue/join", content=body).status_code == 403
    own = json.dumps({"data": [{"path": "/tmp/gradio/a.png", "url": f"{OWN}/gradio_api/file=/tmp/gradio/a.png"}]})
    assert client.post("/gradio_api/queue/join", content=own).status_code == 200


def test_a_call_of_a_function_is_no_picture(client):
    assert client.post("/gradio_api/queue/join", content=b" " * (MOST + 1)).status_code == 403
    assert client.post("/gradio_api/upload", content=b" " * (MOST + 1)).status_code == 200

"""Pushing metrics over HTTP: our JSON, OTLP from the official SDK, Prometheus' text; and what is refused."""

import gzip
import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import httpx2 as httpx
import pytest
import uvicorn
from fastapi.testclient import TestClient
from google.rpc import status_pb2

from tests import ROOT
from workers.client import Metrics
from workers.foundation import clock, database
from workers.http.routes import api
from workers.measurements.store import blocks, rollups
from workers.measurements.store.writer import Writer
from workers.measurements.usecases import intake
from workers.processes.servers import free_port

pytestmark = pytest.mark.usefixtures("world")

SECRET = "a-secret-of-the-tests"
HEAD = {"Authorization": f"Bearer {SECRET}"}


@pytest.fixture(autouse=True)
def _pusher(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METRICS_INGEST_TOKENS", f"photos:{SECRET}")


@pytest.fixture
def http() -> TestClient:
    return TestClient(api, raise_server_exceptions=False)


@pytest.fixture(scope="module")
def url(real_servers: object) -> Iterator[str]:
    """Yield where a real server serves the API."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(api, host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.05)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(10)


def _written() -> list[str]:
    intake.write(Writer("test"))
    with database.transaction() as db:
        return rollups.known(db)


def test_json_is_taken_and_what_may_not_be_stored_is_said(http: TestClient) -> None:
    samples = [
        {"name": "photo_upload_seconds", "value": 1.5, "labels": {"region": "us-west", "wedding_id": "w-1"}},
        {"name": "photo_upload_seconds", "value": 2, "labels": {"guest": "Ada"}},
    ]
    answer = http.post("/v1/metrics", json={"samples": samples}, headers=HEAD)
    assert answer.status_code == 200
    assert answer.json()["accepted"] == 1
    [(why, count)] = answer.json()["refused"].items()
    assert (count, "'guest' is not allowed" in why) == (1, True)
    assert _written() == ['photo_upload_seconds{region="us-west",wedding_id="w-1"}']


@pytest.mark.parametrize(
    ("path", "body", "headers", "status", "reason"),
    [
        ("/v1/metrics", b"{}", {}, 401, "pusher_unknown"),
        ("/v1/metrics", b"{}", {"Authorization": "Bearer wrong"}, 401, "pusher_unknown"),
        ("/v1/metrics", b"{", HEAD, 422, "metrics_refused"),
        ("/v1/metrics", b"{}", HEAD, 422, "metrics_refused"),
        ("/v1/metrics", b"x" * 4_000_001, HEAD, 413, "metrics_too_large"),
        (
            "/v1/metrics",
            gzip.compress(b"x" * 5_000_000),
            HEAD | {"Content-Encoding": "gzip"},
            413,
            "metrics_too_large",
        ),
        ("/v1/metrics", b"{}", HEAD | {"Content-Encoding": "gzip"}, 422, "metrics_refused"),
        ("/v1/metrics", b"{}", HEAD | {"Content-Encoding": "br"}, 422, "metrics_refused"),
        ("/v1/prometheus", b"no {metrics", HEAD, 422, "metrics_refused"),
        ("/v1/prometheus", b"\xff\xfe", HEAD, 422, "metrics_refused"),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_is_stored(
    http: TestClient, path: str, body: bytes, headers: dict[str, str], status: int, reason: str
) -> None:
    answer = http.post(path, content=body, headers=headers)
    assert (answer.status_code, answer.json()["reason"]) == (status, reason)
    assert _written() == []


def test_too_much_at_once_says_when_to_come_again(http: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METRICS_INGEST_SAMPLES_PER_SECOND", "1")
    samples = [{"name": "a", "value": 1}, {"name": "b", "value": 1}]
    answer = http.post("/v1/metrics", json={"samples": samples}, headers=HEAD)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "2")


def test_a_page_of_prometheus_is_taken(http: TestClient) -> None:
    page = '# TYPE uploads counter\nuploads_total{region="us-west"} 5\n# TYPE wait gauge\nwait 0.5\n'
    assert http.put(
        "/v1/prometheus", content=gzip.compress(page.encode()), headers=HEAD | {"Content-Encoding": "gzip"}
    ).json() == {
        "accepted": 2,
        "refused": {},
        "doubles": 0,
    }
    assert _written() == ['uploads_total{region="us-west"}', "wait"]


def test_the_official_sdk_of_opentelemetry_pushes_protobuf(url: str) -> None:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource

    exporter = OTLPMetricExporter(f"{url}/otlp/v1/metrics", headers=HEAD)
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=60_000)
    provider = MeterProvider([reader], resource=Resource({"service.name": "photos"}))
    meter = provider.get_meter("tests")
    meter.create_histogram("photo_upload_seconds").record(1.5, {"region": "us-west"})
    meter.create_counter("uploads").add(3, {"region": "us-west"})
    assert provider.force_flush()
    provider.shutdown()
    found = _written()
    assert 'uploads{region="us-west",service="photos"}' in found
    assert 'photo_upload_seconds_count{region="us-west",service="photos"}' in found
    assert 'photo_upload_seconds_bucket{le="+Inf",region="us-west",service="photos"}' in found


@pytest.mark.parametrize(
    ("body", "head", "status", "code"),
    [
        (b"\x01\x02garbage", HEAD, 400, 3),
        (b"[1]", HEAD | {"Content-Type": "application/json"}, 400, 3),
        (b"[1]", HEAD | {"Content-Type": "Application/JSON; charset=utf-8"}, 400, 3),
        (b"", {"Authorization": "Bearer nobody"}, 401, 16),
        (b"x" * 20_000_000, HEAD, 413, 11),
    ],
)
def test_otlp_that_is_not_taken_is_answered_with_a_status_in_its_own_encoding(
    http: TestClient, body: bytes, head: dict[str, str], status: int, code: int
) -> None:
    answer = http.post("/otlp/v1/metrics", content=body, headers=head)
    assert answer.status_code == status
    if "json" in head.get("Content-Type", "").lower():
        assert answer.json()["code"] == code
        assert answer.headers["content-type"] == "application/json"
    else:
        assert status_pb2.Status.FromString(answer.content).code == code
        assert answer.headers["content-type"] == "application/x-protobuf"


@pytest.mark.parametrize(
    ("kind", "at"),
    [("text/plain; version=0.0.4", "{}000"), ("application/openmetrics-text; version=1.0.0", "{}.0")],
)
def test_times_are_read_in_the_unit_of_the_format(http: TestClient, kind: str, at: str) -> None:
    moment = int(clock.epoch()) - 5
    page = f'guest_list_seconds{{region="us-west"}} 0.5 {at.format(moment)}\n# EOF\n'
    answer = http.post("/v1/prometheus", content=page.encode(), headers=HEAD | {"Content-Type": kind})
    assert answer.json()["accepted"] == 1, answer.text
    _written()
    with database.transaction() as db:
        [row] = blocks.read(db, [datetime.fromtimestamp(moment // 60 * 60, UTC)])
    assert row["at"] == moment * 1_000_000


@pytest.mark.parametrize("kind", ["application/x-protobuf", "application/json"])
def test_what_is_no_text_of_prometheus_is_told_where_to_go(http: TestClient, kind: str) -> None:
    answer = http.post("/v1/prometheus", content=b"x 1", headers=HEAD | {"Content-Type": kind})
    assert answer.status_code == 422
    assert "remote write is not taken" in answer.json()["detail"]


def test_otlp_as_json_is_answered_in_json_with_what_was_refused(http: TestClient) -> None:
    at = str(int(clock.epoch() * 1e9))
    point = {
        "timeUnixNano": at,
        "asDouble": 1.5,
        "attributes": [{"key": "guest.name", "value": {"stringValue": "Ada"}}],
    }
    metric = {"name": "wait", "gauge": {"dataPoints": [point, point | {"attributes": []}]}}
    body = {"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]}
    answer = http.post("/otlp/v1/metrics", json=body, headers=HEAD)
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["partialSuccess"]["rejectedDataPoints"] == "1"
    assert _written() == ["wait"]


def test_the_python_client_sends_in_batches_and_again_after_a_failure(url: str) -> None:
    with Metrics("http://127.0.0.1:9", SECRET, keep_max=2) as broken:
        for value in range(3):
            broken.measure("a", value)
        broken.flush()
        assert (broken.sent, broken.dropped) == (0, 1)
    with Metrics(url, SECRET) as metrics:
        metrics.measure("photo_upload_seconds", 1.5, region="us-west")
        with metrics.timed("guest_list_seconds", region="us-west"):
            pass
        metrics.flush()
        assert metrics.sent == 2
    assert _written() == ['guest_list_seconds{region="us-west"}', 'photo_upload_seconds{region="us-west"}']


def test_the_python_client_says_what_was_refused(url: str) -> None:
    with Metrics(url, "another-secret-that-is-wrong") as metrics:
        metrics.measure("a", 1)
        metrics.flush()
        assert metrics.dropped == 1
        assert "no token" in metrics.problem
    assert httpx.get(f"{url}/healthz").status_code == 200


CASES = ROOT / "tests" / "cases"


def _case(name: str) -> bytes:
    return (CASES / name).read_bytes().replace(b"@NOW_NS@", str(int(clock.epoch() * 1e9)).encode())


def test_absent_is_not_zero(http: TestClient) -> None:
    kind = {"Content-Type": "application/json"}
    assert (
        http.post(
            "/otlp/v1/metrics", content=_case("45-otlp-stale-marker/body.json"), headers=HEAD | kind
        ).status_code
        == 200
    )
    assert _written() == []


@pytest.mark.parametrize("name", ["49-otlp-old-envelope", "50-otlp-traces-to-metrics"])
def test_a_request_in_which_no_metrics_are_is_refused(http: TestClient, name: str) -> None:
    headers = HEAD | {"Content-Type": "Application/JSON; charset=utf-8"}
    answer = http.post("/otlp/v1/metrics", content=_case(f"{name}/body.json"), headers=headers)
    assert answer.status_code == 400
    assert "no metrics are in it" in answer.text


def test_an_export_of_nothing_is_taken_and_a_word_that_looks_like_nan_stays_one(http: TestClient) -> None:
    kind = {"Content-Type": "application/json"}
    for nothing in ("{}", '{"resourceMetrics": []}'):
        assert http.post("/otlp/v1/metrics", content=nothing, headers=HEAD | kind).status_code == 200
    body = (
        '{"samples": [{"name": "g", "value": NaN}, {"name": "h", "value": 1, "labels": {"route": "a:NaN"}}]}'
    )
    assert http.post("/v1/metrics", content=body, headers=HEAD).json()["accepted"] == 1
    assert _written() == ['h{route="a:NaN"}']


@pytest.mark.parametrize("name", ["body.json", "body-null.json"])
def test_a_sample_without_a_number_costs_itself(http: TestClient, name: str) -> None:
    answer = http.post("/v1/metrics", content=_case(f"51-json-nan/{name}"), headers=HEAD).json()
    assert answer["accepted"] == 1
    assert list(answer["refused"]) == ["samples.1.value must be a number"]


def test_one_broken_line_of_a_page_is_named_and_the_others_taken(http: TestClient) -> None:
    answer = http.post("/v1/prometheus", content=_case("42-prom-one-bad-line/page.txt"), headers=HEAD).json()
    assert answer["accepted"] == 2
    assert list(answer["refused"]) == ["line 2: 'not a line at all {' is no sample"]


def test_words_of_headers_ignore_case(http: TestClient) -> None:
    for scheme in ("bearer", "BEARER", "Bearer"):
        headers = {"Authorization": f"{scheme} {SECRET}", "Content-Encoding": "GZIP"}
        body = gzip.compress(_case("52-bearer-lower-case/body.json"))
        assert http.post("/v1/metrics", content=body, headers=headers).status_code == 200


def test_what_is_accepted_is_stored_and_doubles_are_counted(http: TestClient) -> None:
    many = [{"name": "g", "value": n} for n in range(1000)]
    assert http.post("/v1/metrics", json={"samples": many}, headers=HEAD).json()["accepted"] == 1000
    at = clock.epoch() - 60
    twice = [{"name": "h", "value": 1, "at": at}] * 2
    assert http.post("/v1/metrics", json={"samples": twice}, headers=HEAD).json() == {
        "accepted": 1,
        "refused": {},
        "doubles": 1,
    }
    intake.write(Writer("test"))
    with database.transaction() as db:
        minutes = [datetime.fromtimestamp((at // 60 + later) * 60, UTC) for later in range(3)]
        assert len(blocks.read(db, minutes)) == 1001

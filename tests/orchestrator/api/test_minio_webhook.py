"""POST /hooks/minio, with what MinIO sends."""

import json
from urllib.parse import quote_plus

import httpx
import pytest

from reelscribe.http.access.tokens import Tokens
from tests.orchestrator.conftest import BUCKET
from tests.orchestrator.contract import CONTRACT


@pytest.fixture
async def api(serving):
    hooks = {"response": [CONTRACT.check]}
    async with httpx.AsyncClient(base_url=serving(Tokens(("secret",))), event_hooks=hooks) as client:
        client.headers["Authorization"] = "Bearer secret"
        yield client


@pytest.fixture
def savepaths(sql):
    async def read():
        return [row[0] for row in await sql("select savepath from media order by id")]

    return read


def record(savepath: str, event: str = "s3:ObjectCreated:Put", bucket: str = BUCKET) -> dict:
    """As MinIO RELEASE.2025-04 writes one."""
    return {
        "eventVersion": "2.0", "eventSource": "minio:s3", "awsRegion": "", "eventTime": "2026-01-31T18:00:00.123Z",
        "eventName": event, "userIdentity": {"principalId": "uploader"},
        "requestParameters": {"principalId": "uploader", "region": "", "sourceIPAddress": "127.0.0.1"},
        "responseElements": {"x-amz-request-id": "17F1", "x-minio-origin-endpoint": "http://127.0.0.1:9000"},
        "s3": {
            "s3SchemaVersion": "1.0", "configurationId": "Config",
            "bucket": {"name": bucket, "ownerIdentity": {"principalId": "uploader"}, "arn": f"arn:aws:s3:::{bucket}"},
            "object": {
                "key": quote_plus(savepath), "size": 5, "eTag": "5d41402abc4b2a76b9719d911017c592",
                "contentType": "video/mp4", "userMetadata": {"content-type": "video/mp4"}, "sequencer": "17F1A",
            },
        },
        "source": {"host": "127.0.0.1", "port": "", "userAgent": "mc"},
    }  # fmt: skip


def notification(*records: dict) -> dict:
    return {"EventName": "s3:ObjectCreated:Put", "Key": f"{BUCKET}/first", "Records": list(records)}


async def test_a_written_object_is_submitted(api, savepaths):
    answer = await api.post("/hooks/minio", json=notification(record("talks/one.mp4")))
    assert (answer.status_code, answer.json()["new"]) == (200, 1)
    assert await savepaths() == ["talks/one.mp4"]


@pytest.mark.parametrize("savepath", ["a b.mp4", "a+b.mp4", "a%20b.mp4", "ä/日本語 & co=1?.mp4"])
async def test_any_name_arrives_as_it_is(savepath, api, savepaths):
    await api.post("/hooks/minio", json=notification(record(savepath)))
    assert await savepaths() == [savepath]


async def test_a_space_may_come_as_percent_20(api, savepaths):
    escaped = record("x")
    escaped["s3"]["object"]["key"] = "a%20b%2Bc.mp4"
    await api.post("/hooks/minio", json=notification(escaped))
    assert await savepaths() == ["a b+c.mp4"]


async def test_several_records_are_taken_together(api, savepaths):
    await api.post("/hooks/minio", json=notification(record("a.mp4"), record("b.mp4"), record("a.mp4")))
    assert await savepaths() == ["a.mp4", "b.mp4"]


@pytest.mark.parametrize("kind", ["Put", "Post", "Copy", "CompleteMultipartUpload"])
async def test_each_way_to_write_counts(kind, api, savepaths):
    await api.post("/hooks/minio", json=notification(record("a.mp4", f"s3:ObjectCreated:{kind}")))
    assert await savepaths() == ["a.mp4"]


@pytest.mark.parametrize(
    "event",
    [
        "s3:ObjectRemoved:Delete",  # of an object that nothing is known of
        "s3:ObjectAccessed:Get",
        "s3:ObjectCreated:PutTagging",
        "s3:Replication:OperationFailedReplication",
    ],
)
async def test_other_events_are_taken_and_ignored(event, api, savepaths):
    assert (await api.post("/hooks/minio", json=notification(record("a.mp4", event)))).status_code == 200
    assert await savepaths() == []


async def test_other_buckets_and_other_files_are_ignored(api, savepaths):
    others = [record("a.mp4", bucket="secrets"), record("a.jpg"), record("a.mp4.json"), record("../a.mp4")]
    answer = await api.post("/hooks/minio", json=notification(*others))
    assert answer.json() == {"new": 0, "changed": 0, "again": 0, "known": 0, "ignored": 4, "removed": 0}
    assert await savepaths() == []


async def test_a_name_that_is_not_utf_8_is_ignored(api, savepaths):
    latin_1 = record("x")
    latin_1["s3"]["object"]["key"] = "a%ff.mp4"
    assert (await api.post("/hooks/minio", json=notification(latin_1))).json()["ignored"] == 1
    assert await savepaths() == []


async def test_a_duplicate_is_harmless(api, sql):
    for _ in range(3):
        assert (await api.post("/hooks/minio", json=notification(record("a.mp4")))).status_code == 200
    assert await sql("select count(*) from transcriptions") == [(1,)]


@pytest.mark.parametrize("body", [b"{}", b'{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"videos"}'])
async def test_a_test_of_the_target_succeeds(body, api):
    assert (
        await api.post("/hooks/minio", content=body, headers={"Content-Type": "application/json"})
    ).status_code == 200


async def test_minio_sees_without_a_token_that_we_are_there(api):
    del api.headers["Authorization"]
    assert (await api.head("/hooks/minio")).status_code == 200
    assert (await api.post("/hooks/minio", json=notification(record("a.mp4")))).status_code == 401


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"Records": [{}]}', json.dumps({"Records": [record("a")] * 1001})])
async def test_what_is_no_notification_is_400(body, api):
    assert (await api.post("/hooks/minio", content=body, headers={"Content-Type": "application/json"})).json()["error"][
        "code"
    ] == "bad_request"


async def test_an_event_that_needs_the_extractor_is_refused_for_now_while_that_is_away(api, store_transcript):
    await store_transcript("a.mp4", "hello")
    answer = await api.post("/hooks/minio", json=notification(record("a.mp4")))
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "peer_unreachable")

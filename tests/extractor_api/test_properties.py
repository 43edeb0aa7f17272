"""Whatever savepath or body is sent: nothing outside the bucket is opened, and no answer is a 5xx."""

import json
import os
from pathlib import Path

import httpx
import psutil
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from extractor_api.storage import LocalStorage
from reelscribe.errors import ServiceError
from reelscribe.http.access.tokens import Tokens
from reelscribe.settings.extractor import PathsSection
from tests.extractor_api.conftest import Serve
from tests.schemathesis_run import finds_nothing

PARTS = (
    "youtube", "one.mp4", "videos", "secrets", "secret.mp4", "secret-bucket", ".minio.sys", "config.json", "xl.meta",
    "part.1", "out", "out.mp4", "inside.mp4", "loop", "..", ".", "...", " ..", "..\t", "", "~", "etc", "passwd",
    "proc", "self", "%2e%2e", "..%2f", "..\\", "\uff0e\uff0e", "\u2025", "\0", "C:",
)  # fmt: skip
savepaths = st.one_of(
    st.builds(str.join, st.sampled_from(["/", "//", "/./", "\\", "\0", "/\u200b"]), st.lists(st.sampled_from(PARTS))),
    st.builds(str.join, st.just("/"), st.lists(st.one_of(st.sampled_from(PARTS), st.text(max_size=20)), max_size=6)),
    st.text(),
)


@pytest.fixture(scope="module")
def data_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bucket with links of every kind, next to secrets."""
    root = tmp_path_factory.mktemp("minio")
    for name in ("secret.mp4", "secrets/secret.mp4", "secret-bucket/secret.mp4", ".minio.sys/config.json", "part.1"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("secret")
    (root / "videos" / "youtube").mkdir(parents=True)
    (root / "videos" / "youtube" / "one.mp4").write_text("one")
    links = {"out": "../secrets", "out.mp4": "/etc/passwd", "loop": "loop", "inside.mp4": "youtube/one.mp4"}
    for name, target in {**links, "youtube/secret.mp4": "../../secret.mp4", "youtube/videos": ".."}.items():
        (root / "videos" / name).symlink_to(target)
    return root


@settings(deadline=None, max_examples=1000, derandomize=True)
@example("out/secret.mp4")
@example("out.mp4")
@example("youtube/secret.mp4")
@example("youtube/videos/youtube/one.mp4")
@given(savepath=savepaths)
def test_no_savepath_opens_anything_outside_the_bucket(data_path: Path, savepath: str) -> None:
    bucket = (data_path / "videos").resolve()
    try:
        with LocalStorage(PathsSection(minio_data_path=data_path)).open(savepath) as stored:
            opened = [Path(os.readlink(f"/proc/self/fd/{descriptor}")) for descriptor in stored.descriptors]
            assert opened and all(bucket in path.parents for path in opened)
            assert stored.read(0, 100) == b"one"
    except ServiceError as refused:
        assert refused.status in (400, 404, 422) and str(data_path) not in refused.message
    assert not [file.path for file in psutil.Process().open_files() if str(data_path) in file.path]


numbers = st.one_of(st.integers(), st.floats(), st.sampled_from([0, 1, 2, 128, 320, 8000, 44100, 1e300, -1, 2**64]))
anything = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, st.text(max_size=10)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=10), inner, max_size=3)),
    max_leaves=6,
)
FIELDS = {
    "video_path": st.just("text.mp4"),
    "bucket_name": st.sampled_from(["videos", "other-bucket", "secret", ""]),
    "audio_format": st.sampled_from(["mp3", "wav", "flac", "source", "MP3", "../x"]),
    "bitrate_kbps": numbers,
    "sample_rate": numbers,
    "channels": st.one_of(numbers, st.just("all")),
    "channel": numbers,
    "start": numbers,
    "duration": numbers,
    "track": numbers,
    "delivery": st.sampled_from(["stream", "file"]),
    "allow_incomplete": st.booleans(),
}
fields = st.fixed_dictionaries(
    {"savepath": st.one_of(st.sampled_from(["text.mp4", "short.mkv"]), savepaths)},
    optional={name: st.one_of(value, anything) for name, value in FIELDS.items()},
)
bodies = st.one_of(
    fields.map(lambda body: json.dumps(body).encode()),
    anything.map(lambda body: json.dumps(body).encode()),
    st.binary(max_size=200),
)


@settings(
    deadline=None,
    max_examples=200,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@example(body=b'{"savepath": "short.mkv", "sample_rate": 192000, "channels": 2, "audio_format": "flac", "start": 7}')
@example(body=b'{"savepath": "short.mkv", "start": 1e7, "duration": 1e7}')
@example(body=b'{"savepath": "short.mkv", "duration": 1e-300}')
@example(body=b'{"savepath": "short.mkv", "start": 7.4999999, "duration": 1e-7, "delivery": "file"}')
@given(body=bodies)
async def test_no_body_is_answered_with_a_5xx(extractor: httpx.AsyncClient, body: bytes) -> None:
    """The client's own hook compares each answer with /openapi.json, the error object included."""
    response = await extractor.post("/extract-audio", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 200 or 400 <= response.status_code < 500


async def test_schemathesis_finds_nothing(serve: Serve, tmp_path: Path) -> None:
    extractor = await serve(tokens=Tokens(("first",)))
    assert "Tested: 16" in await finds_nothing(str(extractor.base_url), tmp_path)

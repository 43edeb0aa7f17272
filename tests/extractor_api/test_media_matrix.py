"""Recordings of every container and every variant; ``make bench-media`` has all codecs in all variants."""

from pathlib import Path

import pytest

from reelscribe.media.ffmpeg import FFmpeg
from tests.extractor_api.conftest import Serve
from tests.media_matrix.answers import ask, faults
from tests.media_matrix.making import EncoderMissing, Maker
from tests.media_matrix.samples import SAMPLE, sample
from tests.media_matrix.variants import CASES, Case


@pytest.fixture(scope="session")
def maker(tmp_path_factory: pytest.TempPathFactory, local_ffmpeg: FFmpeg) -> Maker:
    folder = tmp_path_factory.mktemp("matrix")
    for name in ("videos", "sources"):
        (folder / name).mkdir()
    return Maker(local_ffmpeg.path, folder / "videos", folder / "sources")


@pytest.mark.parametrize("case", sample(CASES, SAMPLE), ids=str)
async def test_the_audio_is_complete_and_every_beep_is_in_its_place(serve: Serve, maker: Maker, case: Case) -> None:
    try:
        path: Path = maker.make(case.kind, case.variant)
    except EncoderMissing as missing:
        pytest.skip(str(missing))
    held = maker.held_seconds(path) if case.variant.cut_percent else 0.0
    answer = await ask(await serve(data_path=path.parent.parent), path.name)
    assert not faults(case, answer, held), answer

"""Options of a transcription: what is refused, and what of them is stored."""

from typing import Any

import pytest

from orchestrator.jobs.models import Options
from reelscribe.contracts.transcriber import TranscribeFields
from reelscribe.errors import BadRequest
from reelscribe.http.server.parsing import parse_query, parse_request
from tests.transcriber.conftest import Transcriber


def parsed(**fields: str) -> TranscribeFields:
    """As from a form."""
    found: TranscribeFields = parse_query(TranscribeFields, {name: [value.encode()] for name, value in fields.items()})
    return found


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"beam_size": "0"}, "beam_size: must be at least 1"),
        ({"beam_size": "11"}, "beam_size: must be at most 10"),
        ({"vad_threshold": "1"}, "vad_threshold: must be at most 0.95"),
        ({"vad_min_silence_duration_ms": "-1"}, "vad_min_silence_duration_ms: must be at least 0"),
        ({"vad_speech_pad_ms": "2000"}, "vad_speech_pad_ms: must be at most 1000"),
        ({"max_segment_seconds": "0.5"}, "max_segment_seconds: must be at least 1"),
        ({"vad": "false", "vad_threshold": "0.3"}, "vad_threshold: it has no effect with vad = false"),
        ({"vad": "false", "vad_speech_pad_ms": "50"}, "vad_speech_pad_ms: it has no effect with vad = false"),
        (
            {"vad": "false", "max_speech_without_words": "5"},
            "max_speech_without_words: it has no effect with vad = false",
        ),
        ({"max_speech_without_words": "-1"}, "max_speech_without_words: must be at least 0"),
        ({"language": "de", "languages": "de,en"}, "languages: language names the only one"),
        ({"languages": "de,e"}, "languages.1: 'e' is not the code of a language"),
        ({"multilingual": "true", "language": "de"}, "multilingual: it detects the language of each window"),
    ],
)
def test_a_wrong_option_is_refused_with_its_name_and_the_reason(fields: dict[str, str], message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        parsed(**fields)


def test_options_come_from_forms_and_from_json_alike() -> None:
    json = parse_request(TranscribeFields, b'{"beam_size": 1, "vad_threshold": 0.3, "multilingual": true}')
    assert parsed(beam_size="1", vad_threshold="0.3", multilingual="true") == json


def test_what_the_orchestrator_stores_of_older_options_has_not_changed() -> None:
    stored: dict[str, Any] = {"language": "en", "word_timestamps": True}
    assert Options(**stored).chosen() == stored
    assert Options(beam_size=None, max_segment_seconds=15.0, vad_threshold=0.5).chosen() == {}


def test_languages_come_in_any_order_and_number() -> None:
    assert parsed(languages="en, de").languages == ("de", "en")
    assert parse_query(TranscribeFields, {"languages": [b"en", b"de", b"en"]}).languages == ("de", "en")
    assert parse_request(TranscribeFields, b'{"languages": ["en", "de"]}').languages == ("de", "en")
    stored = Options(languages=("en", "de")).chosen()
    assert stored == {"languages": ["de", "en"]}
    assert Options(**stored).languages == ("de", "en")


async def test_an_english_only_model_refuses_multilingual(transcriber: Transcriber) -> None:
    answer = await transcriber.http.post("/transcribe", json={"savepath": "short.flac", "multilingual": True})
    assert answer.status_code == 400
    assert "mini knows English only" in answer.json()["error"]["message"]


async def test_a_threshold_no_speech_reaches_leaves_nothing(transcriber: Transcriber) -> None:
    events = await transcriber.events("silence.flac", vad_threshold=0.95, vad_speech_pad_ms=0, beam_size=1)
    assert [event.event for event in events if event.event != "progress"] == ["started", "finished"]

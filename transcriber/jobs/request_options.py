"""What a request means for cutting windows and for decoding them."""

from faster_whisper.vad import VadOptions

from reelscribe.contracts.events import UNKNOWN_LANGUAGE
from reelscribe.contracts.transcriber import TranscribeFields
from transcriber.audio.windows import MAX_WINDOW_SECONDS, GaplessWindows, SpeechWindows, Windows
from transcriber.decoding.options import DEFAULT_BEAM, DecodingOptions


def make_windows(request: TranscribeFields) -> Windows:
    """What cuts the audio of the request."""
    if not request.vad:
        return GaplessWindows(MAX_WINDOW_SECONDS, request.start)
    vad = VadOptions(
        threshold=request.vad_threshold,
        min_silence_duration_ms=request.vad_min_silence_duration_ms,
        speech_pad_ms=request.vad_speech_pad_ms,
    )
    return SpeechWindows(MAX_WINDOW_SECONDS, request.start, vad)


def decoding_options(request: TranscribeFields, language: str, device: str) -> DecodingOptions:
    """How its windows are decoded; ``language`` is that of the recording, ``device`` that of the model."""
    return DecodingOptions(
        language=None if request.multilingual or language == UNKNOWN_LANGUAGE else language,
        languages=request.languages,
        task=request.task,
        initial_prompt=request.initial_prompt,
        hotwords=request.hotwords,
        word_timestamps=request.word_timestamps,
        beam_size=request.beam_size or DEFAULT_BEAM[device],
        max_segment_seconds=request.max_segment_seconds,
    )

"""Temperature fallback: a window that fails Whisper's thresholds is decoded again at higher temperatures.

Windows that pass the thresholds and are wrong all the same are decoded again by the second pass (``second_pass``).
"""

from collections.abc import Callable
from dataclasses import replace

from ctranslate2 import StorageView
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import TranscriptionOptions

from transcriber.decoding.repetition import without_loops
from transcriber.decoding.segments import DecodedWindow, compression_ratio
from transcriber.decoding.thresholds import MAX_NO_SPEECH_PROB


def apply_fallback(
    first: DecodedWindow,
    encode: Callable[[], StorageView],
    whisper: WhisperModel,
    tokenizer: Tokenizer,
    options: TranscriptionOptions,
) -> DecodedWindow:
    """The decoded window itself if it passes Whisper's thresholds, else a better one at a higher temperature.

    If it loops at all of them, one repetition is kept (see ``without_loops``), or no text at all if the model
    itself is unsure that there is speech.
    """
    if first.is_good or first.is_silent:
        return first
    prompt = whisper.get_prompt(tokenizer, tokenizer.encode(options.initial_prompt or ""), hotwords=options.hotwords)
    retried = replace(options, temperatures=options.temperatures[1:])
    result, avg_logprob, temperature, ratio = whisper.generate_with_fallback(encode(), prompt, tokenizer, retried)
    tokens = result.sequences_ids[0]
    is_cut = len(tokens) >= whisper.most_tokens(prompt)
    second = DecodedWindow(tokens, avg_logprob, result.no_speech_prob, ratio, temperature, is_cut)
    if second.is_good or second.is_silent:
        return second
    varied = [one for one in (first, second) if not one.loops]
    best = max(varied or (first, second), key=lambda window: window.avg_logprob)
    if not best.loops:
        return best
    if best.no_speech_prob > MAX_NO_SPEECH_PROB:
        return replace(best, tokens=[])
    tokens = [best.tokens[position] for position in without_loops(best.tokens, tokenizer.eot)]
    return replace(best, tokens=tokens, compression_ratio=compression_ratio(tokenizer, tokens), is_cut=False)

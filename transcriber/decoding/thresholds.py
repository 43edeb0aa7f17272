"""Whisper's own thresholds, from the paper's section 4.5 and its reference code."""

MAX_COMPRESSION_RATIO = 2.4
"""Of the text of a window, by zlib; above it, the text is a loop (``compression_ratio_threshold``)."""

MIN_LOGPROB = -1.0
"""Of a token on average; below it, the text is a guess (``logprob_threshold``)."""

MAX_NO_SPEECH_PROB = 0.6
"""Above it, a guess is text for a window without speech (``no_speech_threshold``)."""

MAX_SURE_TEMPERATURE = 0.5
"""Text that needed a higher one is a guess: it is not passed to the next window (``prompt_reset_on_temperature``)."""

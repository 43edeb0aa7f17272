"""Make a Whisper model with random weights: it has the size and the speed of a real one, but no knowledge.

Usage: python tools/random_model.py SHAPE FOLDER [--english-only] [--storage int8] [--tokens-per-window 100]

For benches and tests that cannot download a model. ``faster_whisper.WhisperModel(FOLDER)`` loads it.

With purely random weights each window would be 448 tokens of noise, which Whisper's thresholds reject. So the decoder's
position encodings contain a plan: a timestamp at 0 s, words, a pair of timestamps after each sentence, and an end after
``tokens_per_window`` tokens. The random weights choose the words and the detected language, depending on the audio. The
plan assumes a prompt without earlier text.
"""

import argparse
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import tokenizers
from ctranslate2.specs import common_spec, whisper_spec
from faster_whisper.tokenizer import _LANGUAGE_CODES as LANGUAGES
from tokenizers import decoders, models, pre_tokenizers

Storage = Literal["float16", "int8"]


class Shape(NamedTuple):
    """``languages``: 99 before large-v3, 100 since."""

    width: int
    heads: int
    encoder_layers: int
    decoder_layers: int
    n_mels: int = 80
    languages: int = 99


SHAPES = {
    "nano": Shape(64, 1, 1, 1),  # not a Whisper shape: the smallest that works, for tests
    "tiny": Shape(384, 6, 4, 4),
    "base": Shape(512, 8, 6, 6),
    "small": Shape(768, 12, 12, 12),
    "large-v3": Shape(1280, 20, 32, 32, 128, 100),
    "large-v3-turbo": Shape(1280, 20, 32, 4, 128, 100),
}

AUDIO_POSITIONS, TEXT_POSITIONS = 1500, 448
TIMESTAMPS = 1501
TIMESTAMPS_PER_SECOND = 50
SENTENCE_TOKENS = 20
TOKEN_WEIGHT, POSITION_WEIGHT, AUDIO_WEIGHT, PLAN_WEIGHT = 2.0, 1.0, 2.0, 30.0
"""In the decoder's state; if the audio outweighs the last token, the model loops."""
WORD_LOGITS = 30.0
"""Standard deviation over the vocabulary: enough for an average log probability well above Whisper's -1."""
LANGUAGE_LOGITS = 3.0
PLANNED_LOGIT = 400.0
"""Above all words."""


def make_model(
    folder: Path,
    shape: str = "tiny",
    *,
    multilingual: bool = True,
    n_mels: int | None = None,
    tokens_per_window: int = 100,
    storage: Storage = "float16",
    seed: int = 0,
) -> Path:
    """Write the model to ``folder``, which is created if it is missing; returns ``folder``.

    Args:
        shape: a key of :data:`SHAPES`.
        multilingual: whether it has languages and translates; a real ``large-v3`` is never English-only.
        n_mels: bands of the spectrogram, 80 or 128; default: the shape's.
        tokens_per_window: text and timestamps of each window, whatever its length: about 100 for 30 s of fast speech,
            20 for clips of 5 s; at least 4, at most 220.
        storage: of the weights on disk; any ``compute_type`` loads either.
        seed: of the weights; equal arguments give equal models.

    Raises:
        ValueError: ``tokens_per_window`` is out of bounds.
    """
    if not 4 <= tokens_per_window <= 220:
        raise ValueError(f"tokens_per_window: {tokens_per_window} is not in 4..220")
    chosen = SHAPES[shape]._replace(**({"n_mels": n_mels} if n_mels else {}))
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _tokenizer(chosen.languages, multilingual)
    vocabulary = _vocabulary(tokenizer)
    spec = _Builder(chosen, storage, seed).build(_plan(tokenizer, multilingual, tokens_per_window), tokenizer)
    spec.register_vocabulary(vocabulary)
    spec.config.lang_ids = _language_ids(tokenizer, chosen.languages)
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = [tokenizer.token_to_id("Ġ"), tokenizer.token_to_id("<|endoftext|>")]
    heads, last_layer = min(chosen.heads, 6), chosen.decoder_layers - 1
    spec.config.alignment_heads = [[last_layer, head] for head in range(heads)]
    spec.validate()
    spec.save(str(folder))
    tokenizer.save(str(folder / "tokenizer.json"))
    audio = {
        "feature_size": chosen.n_mels,
        "sampling_rate": 16_000,
        "hop_length": 160,
        "chunk_length": 30,
        "n_fft": 400,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(audio))
    return folder


def _tokenizer(languages: int, multilingual: bool) -> tokenizers.Tokenizer:
    """Whisper's special tokens at their usual ids, after as many made-up words as Whisper has text tokens."""
    pieces = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces += ("Ġ" + word for word in islice(_words(), 50_256 - len(pieces)))
    if multilingual:
        pieces.append("")  # by this token CTranslate2 recognises multilingual models
    tokenizer = tokenizers.Tokenizer(
        models.BPE({piece: number for number, piece in enumerate(pieces)}, [], ignore_merges=True)
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(
        [
            *("<|endoftext|>", "<|startoftranscript|>"),
            *(f"<|{language}|>" for language in LANGUAGES[:languages]),
            *("<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>"),
            "<|notimestamps|>",
        ]
    )
    return tokenizer


def _words() -> Iterator[str]:
    """Combinations of syllables: ``ba``, ``be``, …, ``baba``, ``beba``, …"""
    syllables = [first + second for first in "bdfghjklmnprstvwz" for second in "aeiouy"]
    yield from syllables
    for last in _words():
        yield from (first + last for first in syllables)


def _vocabulary(tokenizer: tokenizers.Tokenizer) -> list[str]:
    known = sorted(tokenizer.get_vocab(with_added_tokens=True).items(), key=lambda item: item[1])
    return [token for token, _ in known] + [f"<|{number / TIMESTAMPS_PER_SECOND:.2f}|>" for number in range(TIMESTAMPS)]


def _language_ids(tokenizer: tokenizers.Tokenizer, languages: int) -> list[int]:
    return [tokenizer.token_to_id(f"<|{language}|>") for language in LANGUAGES[:languages]]


def _plan(tokenizer: tokenizers.Tokenizer, multilingual: bool, tokens: int) -> list[int | None]:
    """The token that must follow each position; None: a word."""
    end = tokenizer.token_to_id("<|endoftext|>")
    first_timestamp = tokenizer.token_to_id("<|notimestamps|>") + 1
    said: list[int | None] = [first_timestamp]
    while len(said) < tokens:
        words = min(SENTENCE_TOKENS, tokens - len(said) - 1)
        time = first_timestamp + (len(said) + words) * (TIMESTAMPS - 1) // tokens
        said += [None] * words + [time, time]
    del said[tokens:]
    before = 2 if multilingual else 0  # language and task are in the prompt
    return [None] * before + said + [end] * (TEXT_POSITIONS - before - tokens)


class _Builder:
    """Fills CTranslate2's layers. A weight is random bytes with one scale: fast to make, and nothing to quantise.

    The decoder keeps the first dimensions of its state free of everything but the plan: a pair of them, opposite so
    that layer norms see no shift, for each planned token.
    """

    def __init__(self, shape: Shape, storage: Storage, seed: int) -> None:
        self._shape = shape
        self._storage = storage
        self._random = np.random.default_rng(seed)

    def build(self, plan: list[int | None], tokenizer: tokenizers.Tokenizer) -> whisper_spec.WhisperSpec:
        shape = self._shape
        spec = whisper_spec.WhisperSpec(shape.encoder_layers, shape.heads, shape.decoder_layers, shape.heads)
        planned = sorted({token for token in plan if token is not None})
        self._encoder(spec.encoder)
        self._decoder(spec.decoder, plan, planned, tokenizer)
        return spec

    def _encoder(self, encoder: whisper_spec.WhisperEncoderSpec) -> None:
        width = self._shape.width
        for convolution, channels in ((encoder.conv1, self._shape.n_mels), (encoder.conv2, width)):
            weight = self._bytes(width, channels * 3) * self._step(channels * 3)
            convolution.weight = weight.reshape(width, channels, 3).astype(np.float16)
            convolution.bias = np.zeros(width, np.float16)
        encoder.position_encodings.encodings = self._normal(AUDIO_POSITIONS, width)
        for layer in encoder.layer:
            self._attention(layer.self_attention, (3, 1))
            self._feed_forward(layer.ffn)
        self._norm(encoder.layer_norm)

    def _decoder(
        self, decoder: Any, plan: list[int | None], planned: list[int], tokenizer: tokenizers.Tokenizer
    ) -> None:
        width, free = self._shape.width, 2 * len(planned)
        end, size = tokenizer.token_to_id("<|endoftext|>"), tokenizer.get_vocab_size() + TIMESTAMPS
        embeddings = self._bytes(size, width)
        embeddings[:, :free] = embeddings[tokenizer.token_to_id("<|startoftranscript|>")] = 0
        self._put(decoder.embeddings, embeddings, np.full(size, self._step(1) * TOKEN_WEIGHT, np.float32))
        positions = self._normal(TEXT_POSITIONS, width) * np.float16(POSITION_WEIGHT)
        positions[:, :free] = 0
        positions[0] = 0  # there the audio alone decides, on the language
        for position, token in enumerate(plan):
            if token is not None:
                dimension = 2 * planned.index(token)
                positions[position, dimension : dimension + 2] = (PLAN_WEIGHT, -PLAN_WEIGHT)
        decoder.position_encodings.encodings = positions
        share = self._shape.decoder_layers**-0.5  # otherwise deep models loop, since the last token matters less
        for layer in decoder.layer:
            self._attention(layer.self_attention, (3, 1), free, share)
            self._attention(layer.attention, (1, 2, 1), free, share * AUDIO_WEIGHT)
            self._feed_forward(layer.ffn, free, share)
        self._norm(decoder.layer_norm)
        logits = self._bytes(size, width)
        logits[:, :free] = 0
        logits[end:] = 0
        languages = _language_ids(tokenizer, self._shape.languages)
        logits[languages, free:] = self._bytes(len(languages), width - free)
        scales = np.full(size, self._step(width) * WORD_LOGITS, np.float32)
        scales[languages] = self._step(width) * LANGUAGE_LOGITS
        for number, token in enumerate(planned):
            logits[token, 2 * number] = 127
            scales[token] = PLANNED_LOGIT / 127
        self._put(decoder.projection, logits, scales)

    def _attention(self, attention: Any, parts: tuple[int, ...], free: int = 0, weight: float = 1.0) -> None:
        width = self._shape.width
        self._norm(attention.layer_norm)
        for linear, part in zip(attention.linear, parts, strict=True):
            last = linear is attention.linear[-1]
            self._linear(linear, part * width, width, *((free, weight) if last else ()))

    def _feed_forward(self, ffn: Any, free: int = 0, weight: float = 1.0) -> None:
        width = self._shape.width
        self._norm(ffn.layer_norm)
        self._linear(ffn.linear_0, 4 * width, width)
        self._linear(ffn.linear_1, width, 4 * width, free, weight)

    def _linear(
        self, linear: common_spec.LinearSpec, rows: int, columns: int, free: int = 0, weight: float = 1.0
    ) -> None:
        values = self._bytes(rows, columns)
        values[:free] = 0
        self._put(linear, values, np.full(rows, self._step(columns) * weight, np.float32))
        linear.bias = np.zeros(rows, np.float16)

    def _put(self, layer: Any, values: npt.NDArray[np.int8], scales: npt.NDArray[np.float32]) -> None:
        if self._storage == "int8":
            layer.weight, layer.weight_scale = values, 1 / scales
        else:
            layer.weight = values * scales[:, np.newaxis].astype(np.float16)

    def _norm(self, norm: common_spec.LayerNormSpec) -> None:
        norm.gamma = np.ones(self._shape.width, np.float16)
        norm.beta = np.zeros(self._shape.width, np.float16)

    def _bytes(self, rows: int, columns: int) -> npt.NDArray[np.int8]:
        values = np.frombuffer(bytearray(self._random.bytes(rows * columns)), np.int8)
        return np.maximum(values, -127).reshape(rows, columns)

    def _normal(self, rows: int, columns: int) -> npt.NDArray[np.float16]:
        return self._random.standard_normal((rows, columns), np.float32).astype(np.float16)

    @staticmethod
    def _step(columns: int) -> np.float16:
        """The value of one unit of a byte, for outputs of about the size of the inputs."""
        return np.float16(1 / (73.6 * columns**0.5))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--english-only", action="store_true")
    parser.add_argument("--storage", choices=("float16", "int8"), default="float16")
    parser.add_argument("--tokens-per-window", type=int, default=100)
    arguments = parser.parse_args()
    print(
        make_model(
            arguments.folder,
            arguments.shape,
            multilingual=not arguments.english_only,
            tokens_per_window=arguments.tokens_per_window,
            storage=arguments.storage,
        )
    )


if __name__ == "__main__":
    main()

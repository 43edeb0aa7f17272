"""The tokeniser that is always there: each sample of 16 kHz as one of 256 steps, by the mu-law of ITU-T G.711.

It needs no weights, gives the same tokens on every host, and a part of a recording has the same tokens as when it is
encoded with the rest. Speech that was decoded again is transcribed as before: docs/decisions/tokens.md has the figures.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.exports.tokens.tokenizer import Samples, Tokens

MU = 255


class MuLaw:
    """``AudioTokenizer``, with ``decode``. Token 128 is silence, 0 the lowest sample and 255 the highest."""

    name = "mulaw"
    version = "1"
    sample_rate = 16_000
    tokens_per_second = 16_000.0
    vocabulary = MU + 1

    def encode(self, sound: "Samples") -> "Tokens":
        """One token for each sample."""
        import numpy as np

        clipped = np.clip(sound.astype(np.float64), -1, 1)
        companded = np.sign(clipped) * np.log1p(MU * np.abs(clipped)) / np.log1p(MU)
        tokens: Tokens = np.floor((companded + 1) / 2 * MU + 0.5).astype(np.int16)
        return tokens

    def decode(self, tokens: "Tokens") -> "Samples":
        """One sample for each token."""
        import numpy as np

        companded = tokens.astype(np.float64) / MU * 2 - 1
        sound: Samples = (np.sign(companded) * np.expm1(np.abs(companded) * np.log1p(MU)) / MU).astype(np.float32)
        return sound

"""How loud a piece of sound is."""

import io
import math
import wave

SILENCE = -120.0
"""In dBFS; of sound without a single bit."""
FULL_SCALE = 32768.0


def loudness(samples: bytes) -> float:
    """The root mean square of 16-bit samples, of all channels together, in dB below full scale."""
    import pyarrow
    from pyarrow import compute

    count = len(samples) // 2
    if not count:
        return SILENCE
    values = pyarrow.Array.from_buffers(pyarrow.int16(), count, [None, pyarrow.py_buffer(samples)]).cast("int64")
    squares: int = compute.sum(compute.multiply(values, values)).as_py()
    if not squares:
        return SILENCE
    return round(max(SILENCE, 10 * math.log10(squares / count / FULL_SCALE**2)), 3)


def wav_loudness(content: bytes) -> float:
    """The same of a WAV of 16 bits."""
    with wave.open(io.BytesIO(content)) as file:
        return loudness(file.readframes(file.getnframes()))

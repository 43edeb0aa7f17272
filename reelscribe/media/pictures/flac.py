"""Short stretches of sound as FLAC files: a process for each would take longer than the sound."""

import io

from reelscribe.errors import UnsupportedFormat

MOST_CHANNELS = 8
"""RFC 9639, section 9.1.3."""

LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}


def check_channels(channels: int) -> None:
    """
    Raises:
        UnsupportedFormat: FLAC cannot hold as many.
    """
    if channels > MOST_CHANNELS:
        raise UnsupportedFormat(
            f"the sound has {channels} channels, and flac can hold {MOST_CHANNELS}; take wav, or channels = 1"
        )


def flac(samples: bytes, sample_rate: int, channels: int) -> bytes:
    """16-bit interleaved samples as a FLAC file."""
    import av  # it takes longer to load than the rest of the extractor, and only this needs it

    frame = av.AudioFrame(format="s16", layout=LAYOUTS[channels], samples=len(samples) // (2 * channels), align=1)
    frame.sample_rate = sample_rate
    frame.planes[0].update(samples)
    file = io.BytesIO()
    with av.open(file, "w", format="flac", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("flac", rate=sample_rate, layout=LAYOUTS[channels], format="s16")
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()

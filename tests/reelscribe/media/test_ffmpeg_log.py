"""The facts in ffmpeg's log, from lines that ffmpeg 5.1 and 9.0 really wrote."""

import pytest

from reelscribe.media.ffmpeg_log import FFmpegLog

HEALTHY = """\
[mov,mp4,m4a,3gp,3g2,mj2 @ 0x55ecc33101c0] [error] Codec (h264) not on whitelist 'aac'
[info] Input #0, matroska,webm, from 'file:/proc/self/fd/8':
[info]   Duration: 00:00:41.00, start: 2.436000, bitrate: 48 kb/s
[info]   Stream #0:0: Video: h264 (High), yuv420p, 320x180
[info]       DURATION        : 00:00:41.000000000
[info]   Stream #0:1: Audio: opus, 48000 Hz, mono, fltp (default)
[info]       DURATION        : 00:00:40.001000000
[info] Stream mapping:
[info]   Stream #0:1 -> #0:0 (opus (native) -> pcm_s16le (native))
[Parsed_aresample_0 @ 0x5604] [verbose] ch:1 chl:mono fmt:fltp r:48000Hz -> ch:1 chl:mono fmt:s16 r:16000Hz
[Parsed_aresample_0 @ 0x5604] [SWR @ 0x5605] [verbose] adding 24000 audio samples of silence
[info] Output #0, wav, to 'pipe:1':
[info]   Stream #0:0: Audio: pcm_s16le, 16000 Hz, mono, s16, 256 kb/s (default)
[out#0/wav @ 0x563a] [verbose]   Output stream #0:0 (audio): 868 frames encoded (960000 samples); 868 packets muxed
[info] size=    1875KiB time=00:01:00.00 bitrate= 256.0kbits/s speed=2.05e+03x elapsed=0:00:00.02
"""

DAMAGED = HEALTHY.replace(
    "[out#0/wav",
    "[aac @ 0x5] [error] channel element 0.0 is not allocated\n"
    "[Parsed_aresample_0 @ 0x5604] [SWR @ 0x5605] [verbose] adding 48000 audio samples of silence\n"
    "[Parsed_aresample_0 @ 0x5604] [SWR @ 0x5605] [verbose] adding 48000 audio samples of silence\n"
    "[out#0/wav",
)


def read(text: str) -> FFmpegLog:
    log = FFmpegLog()
    for line in text.splitlines():
        log.read(line)
    return log


def test_streams_and_lengths() -> None:
    log = read(HEALTHY)
    assert log.container == "matroska,webm"
    assert (log.container_seconds, log.start_seconds) == (41.0, 2.436)
    assert [stream.text.split(",")[0] for stream in log.streams.values()] == ["Video: h264 (High)", "Audio: opus"]
    assert log.audio_tracks == 1
    assert log.stream_seconds == {0: 41.0, 1: 40.001}
    assert log.stream_index == 1


def test_delivered_seconds_are_the_encoded_samples() -> None:
    log = read(HEALTHY)
    assert (log.samples, log.sample_rate, log.delivered_seconds) == (960000, 16000, 60.0)


def test_our_own_refusal_of_the_video_decoder_is_no_damage() -> None:
    assert read(HEALTHY).decode_warnings == 0


def test_a_hole_that_the_recording_has_is_no_damage() -> None:
    assert read(HEALTHY).damaged_seconds == 0


def test_silence_after_decoding_errors_is_damage() -> None:
    log = read(DAMAGED)
    assert (log.decode_warnings, log.damaged_seconds) == (1, 2.0)
    assert log.delivered_seconds == pytest.approx(58.0)


def test_a_stream_copied_without_decoding_is_measured_by_its_time() -> None:
    copied = "\n".join(line for line in HEALTHY.splitlines() if "encoded" not in line and "Hz ->" not in line)
    assert read(copied).delivered_seconds == 60.0


def test_a_length_guessed_from_the_bit_rate_is_known_as_a_guess() -> None:
    assert read("[mp3 @ 0x5] [warning] Estimating duration from bitrate, this may be inaccurate").estimated


def test_garbage_and_endless_lines_do_no_harm() -> None:
    log = read("\x00\n" + "x" * 100_000 + "\n[error] " + "y" * 100_000)
    assert max(map(len, log.last_lines)) <= 300

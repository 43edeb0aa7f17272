"""Decodes the pictures of one recording; :mod:`reelscribe.media.pictures.ready` starts it.

A program of its own, because it opens untrusted input: it runs in the sandbox, by its path, without site-packages, and
sees nothing of ours but the modules that it imports.
Usage: ``python -I -S child.py PACKAGES ROOT``, the folders that PyAV and we are installed in. When PyAV is
loaded, its task comes through the socket that is standard input, as for :mod:`reelscribe.media.inspection_child`:
``task`` there is the number of a file of JSON:

* ``work``: ``moments`` (:mod:`reelscribe.media.pictures.delivery`), ``cut`` (:mod:`reelscribe.media.clips.cutting`) or
  ``copy`` (:mod:`reelscribe.media.clips.copying`), which describe what else they need;
* ``url``, ``options``, ``demuxer``: for ``avformat_open_input``;
* ``decoders``: names of the decoders that may read pictures;
* ``picture``: the index of the stream; null for the one that is shown by default;
* ``origin``: where the recording begins on the container's own clock, as a fraction; null: at its first timestamp;
* ``max_pixels``: of a picture.

Records come on standard output: the lengths of a JSON object and of a picture (two times 4 bytes, big-endian), then
both. ``event`` of the object says what it is; ``failed`` comes at any time, with ``reason`` and ``details``.
"""

import json
import os
import sys


def main() -> None:
    sys.path += sys.argv[1:]
    import av
    import av.bitstream
    import av.filter
    import av.video.reformatter

    from reelscribe.media.clips import copying, cutting
    from reelscribe.media.inspection_child import receive
    from reelscribe.media.pictures import delivery
    from reelscribe.media.pictures.source import Failed, send

    # Not through Python: a thread of a decoder would wait for the interpreter, which may wait for the decoder.
    av.logging.restore_default_callback()
    av.logging.set_libav_level(av.logging.ERROR)
    given = receive()
    if given is None:
        return
    with open(given["task"]) as file:
        file.seek(0)
        task = json.load(file)
    try:
        {"moments": delivery.deliver, "cut": cutting.cut, "copy": copying.copy}[task["work"]](av, task)
    except Failed as failure:
        send("failed", reason=failure.reason, details=failure.details)
    except av.error.FFmpegError as failure:
        send("failed", reason="libav", details=[str(failure)[:300]])
    os._exit(0)  # to close a decoder takes time, and nothing is left to save


if __name__ == "__main__":
    main()

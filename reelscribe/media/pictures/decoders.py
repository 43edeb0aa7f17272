"""Which decoders may read pictures, one by one; the routes that deliver sound alone open none of them."""

PICTURE_DECODERS = (
    *("h264", "hevc", "vvc", "libdav1d", "vp8", "vp9", "vp6", "vp6f", "theora"),
    *("mpeg1video", "mpeg2video", "mpeg4", "h263", "flv", "msmpeg4v1", "msmpeg4v2", "msmpeg4", "svq3"),
    *("wmv1", "wmv2", "wmv3", "vc1", "rv30", "rv40"),
    *("mjpeg", "prores", "dnxhd", "dvvideo", "cfhd", "ffv1", "ffvhuff", "huffyuv", "utvideo", "rawvideo", "cinepak"),
)
"""FFmpeg's own decoders of what cameras, phones, editors and video sites write, and dav1d. Left out are those of games,
of the nineties and of still images, in which most flaws of FFmpeg are found."""

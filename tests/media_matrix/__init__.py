"""Recordings of every container and codec, each intact and in the ways that go wrong, with what is right for each.

Kinds (:mod:`tests.media_matrix.kinds`) times variants (:mod:`tests.media_matrix.variants`) are the cases. Beeps at
known times show whether the audio is complete and in its place.
"""

"""A transcript as a Word document: title, what is known of the recording, and paragraphs."""

import re
from collections.abc import Sequence
from datetime import UTC
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from docx import Document
from docx.shared import RGBColor

from orchestrator.transcripts.models import Transcript
from reelscribe.contracts.events import Segment
from reelscribe.text.paragraphs import Paragraph, ParagraphStream
from reelscribe.text.srt_vtt import clock

GREY = RGBColor(0x70, 0x70, 0x70)
LONGEST_PROPERTY = 255
"""Characters, by the standard."""
NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class WordDocument:
    """Writes it; the document is in memory until its end, since it is one compressed file."""

    def __init__(self, transcript: Transcript, timestamps: bool) -> None:
        self._timestamps = timestamps
        self._paragraphs = ParagraphStream()
        self._document = Document()
        job, about = transcript.job, self._document.core_properties
        title = _storable(job.title or job.savepath)
        about.title, about.author, about.comments = title[:LONGEST_PROPERTY], "", ""
        about.language = transcript.text_language
        if job.finished_at:
            about.created = about.modified = job.finished_at.astimezone(UTC).replace(tzinfo=None)
        self._document.add_heading(title, 0)
        if job.title:
            self._document.add_paragraph().add_run(_storable(job.savepath)).font.color.rgb = GREY
        if job.note:
            self._document.add_paragraph().add_run(_storable(job.note)).italic = True

    def begin(self, said: str) -> bytes:
        """Nothing yet."""
        return b""

    def add(self, segments: Sequence[Segment]) -> bytes:
        """Nothing yet."""
        self._write(self._paragraphs.add(segments))
        return b""

    def end(self) -> bytes:
        """The whole file."""
        self._write(self._paragraphs.end())
        file = BytesIO()
        self._document.save(file)
        return _without_times(file)

    def _write(self, paragraphs: Sequence[Paragraph]) -> None:
        for paragraph in paragraphs:
            written = self._document.add_paragraph()
            if self._timestamps:
                written.add_run(f"{clock(paragraph.start)}  ").font.color.rgb = GREY
            written.add_run(_storable(paragraph.text))


def _without_times(file: BytesIO) -> bytes:
    """The same archive, whenever it is made: python-docx gives each part the time of this moment."""
    written = BytesIO()
    with ZipFile(file) as timed, ZipFile(written, "w", ZIP_DEFLATED) as timeless:
        for name in timed.namelist():
            part = ZipInfo(name)  # of 1980, the beginning of its times
            part.compress_type = ZIP_DEFLATED
            timeless.writestr(part, timed.read(name))
    return written.getvalue()


def _storable(text: str) -> str:
    return NOT_IN_XML.sub("", text)

"""What the file of a transcript is called: by a template with named fields, or as players and people look for it."""

from pathlib import PurePosixPath
from string import Formatter

from reelscribe.text.formats import Format

FIELDS = {
    "stem": "`talk` of `youtube/talk.mp4`",
    "name": "`talk.mp4`",
    "folder": "`youtube`; without it, the file is in the folder of the recording",
    "language": "of the text: `en`",
    "format": "ending of the file: `srt`",
    "model": "`large-v3-turbo`",
}
NAMED_FOR_PLAYERS = "{stem}.{language}.{format}"
NAMED_FOR_RECORDING = "{name}.{format}"


class FileNames:
    """Makes the names of transcripts; they are relative to a folder, or to the prefix of a bucket.

    Args:
        template: such as ``{stem}.{language}.{format}``; empty: subtitles are called so, and all else
            ``{name}.{format}``.

    Raises:
        ValueError: it is no such template; the sentence says what is wrong.
    """

    def __init__(self, template: str = "") -> None:
        self._template = template
        if template:
            _check(template)

    def check(self, formats: tuple[Format, ...]) -> None:
        """Whether each of these formats has a name of its own, with its own ending.

        Raises:
            ValueError: it has not; the sentence says which.
        """
        names: dict[str, Format] = {}
        for format in formats:
            name = self.name("talk.mp4", format, "en", "model")
            if not name.endswith(f".{format.ending}"):
                raise ValueError(f"{self._of(format)!r} does not end with .{format.ending}, as {format} has to")
            if other := names.get(name):
                raise ValueError(f"{other} and {format} would both be {name}; give only one of them, or use {{format}}")
            names[name] = format

    def name(self, savepath: str, format: Format, language: str, model: str, ambiguous: bool = False) -> str:
        """The name of the file of a transcript.

        Args:
            ambiguous: another recording of the folder has the same stem: the whole name takes its place.
        """
        folder, _, name = savepath.rpartition("/")
        template = self._of(format)
        made = template.format(
            stem=name if ambiguous else PurePosixPath(name).stem,
            name=name,
            folder=folder,
            language=_in_one_part(language),
            format=format.ending,
            model=_in_one_part(model),
        )
        if "{folder}" not in template:
            made = f"{folder}/{made}"
        return "/".join(_safe(part) for part in made.split("/") if part)

    def may_be_ambiguous(self, format: Format) -> bool:
        """Whether two recordings of a folder whose names differ only in their endings would get the same name."""
        return "{name}" not in self._of(format)

    def _of(self, format: Format) -> str:
        return self._template or (NAMED_FOR_PLAYERS if format.is_for_players else NAMED_FOR_RECORDING)


def _check(template: str) -> None:
    known = ", ".join(f"{{{field}}}" for field in FIELDS)
    used = set()
    try:
        for text, field, specification, conversion in Formatter().parse(template):
            if any(letter < " " for letter in text):
                raise ValueError("holds a control character")
            if field is not None:
                if specification or conversion or field not in FIELDS:
                    raise ValueError(f"{{{field}}} is no field; there are {known}")
                used.add(field)
    except ValueError as mistake:
        raise ValueError(f"the name {template!r} cannot be used: {mistake}") from None
    if not used & {"stem", "name"}:
        raise ValueError(f"the name {template!r} needs {{stem}} or {{name}}: all recordings would be one file")
    if "folder" in used and "{folder}" not in template.split("/")[:-1]:
        raise ValueError(f"the name {template!r} cannot be used: {{folder}} is a folder, as in {{folder}}/{{stem}}.srt")
    if any(part in ("", ".", "..") for part in template.split("/")):
        raise ValueError(f"the name {template!r} cannot be used: it leads out of the folder")


def _safe(part: str) -> str:
    """As the name of a file or a folder: ``.`` and ``..`` lead elsewhere, and MinIO refuses them with spaces too."""
    return part.replace(".", "_") if part.strip() in (".", "..") else part


def _in_one_part(value: str) -> str:
    return value.replace("/", "-") or "und"

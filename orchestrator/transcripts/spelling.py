"""The words of a text as search compares them: what is written in several ways is one word in each of them.

A text has two readings. One takes what is written together apart (``e``, ``mail``), the other joins it (``email``).
What a person searches for is read in both ways too, so that each spelling finds the others. Case, width and accents
never matter; nothing is reduced to its stem.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from reelscribe.text.running_text import is_unspaced

LONGEST_WORD = 64

_APOSTROPHES = "'`\u00b4\u02bc\u2018\u2019\u2032"
_HYPHENS = "-\u2010\u2011\u200c"  # the last one is between the parts of a Persian word
_FIXED_SPACES = "\u00a0\u2007\u2009\u202f"  # between the digits of a number
_CURRENCIES = {"$": "dollar", "€": "euro", "£": "pound", "¥": "yen", "₹": "rupee"}
_SYMBOLS = {"%": "percent", "&": "and", "°": "degree", **_CURRENCIES}
_SAME_WORDS = {
    **dict.fromkeys(("prozent", "procent", "prosent", "процент", "процента", "процентов"), "percent"),
    **{word + "s": word for word in ("degree", "dollar", "euro", "pound", "rupee")},
    **dict(zip(("1st", "2nd", "3rd", "4th", "5th"), ("first", "second", "third", "fourth", "fifth"), strict=True)),
    **dict(zip(("6th", "7th", "8th", "9th", "10th"), ("sixth", "seventh", "eighth", "ninth", "tenth"), strict=True)),
    "ok": "okay",
}
_PERCENT = {("per", "cent"), ("pour", "cent"), ("por", "ciento"), ("por", "cento"), ("per", "cento")}
_LARGE_NUMBERS = {"thousand", "million", "billion", "trillion", "millionen", "millions", "milliarden", "milliards"}
_LETTERS = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "\u0131": "i", "ħ": "h", "\u0640": None}
)
_KEPT_ACCENTS = {("\u0438", "\u0306"), ("\u0443", "\u0306"), ("\u0456", "\u0308")}
"""Of й, ў and ї: everyone writes them."""
_ACCENTS = ((0x0300, 0x036F), (0x0591, 0x05C7), (0x064B, 0x0655), (0x0670, 0x0670))
"""Of Latin, Greek and Cyrillic; Hebrew points; Arabic vowel signs and hamza."""


class Word(NamedTuple):
    """A word as it is compared, and where it is in the text."""

    folded: str
    start: int
    end: int


class Unit(NamedTuple):
    """What is written together, taken apart and joined."""

    apart: tuple[Word, ...]
    joined: tuple[Word, ...]

    @property
    def start(self) -> int:
        """Where it begins in the text."""
        return min(word.start for word in self.apart)

    @property
    def end(self) -> int:
        """Where it ends."""
        return max(word.end for word in self.apart)


class _Shapes(dict[int, str]):
    """A character for each kind of character, by code point."""

    def __missing__(self, code: int) -> str:
        self[code] = shape = _shape(chr(code))
        return shape


def _shape(character: str) -> str:
    for shape, members in {"'": _APOSTROPHES, "-": _HYPHENS, "_": _FIXED_SPACES}.items():
        if character in members:
            return shape
    plain = unicodedata.normalize("NFKC", character)
    if plain in _CURRENCIES:
        return "$"
    if plain in {*_SYMBOLS, ".", ","}:
        return plain
    if character.isspace():
        return " "
    category = unicodedata.category(character)
    if not character.isalnum() and category[0] != "M":
        return "a" if category == "Cf" else "|"  # an invisible one, such as a soft hyphen, belongs to its word
    if is_unspaced(character):
        return "u"
    return "0" if character.isdecimal() else "a"


_SHAPES = _Shapes()

_UNIT = re.compile(
    r"""
    (?P<number> (?<!0) 0{1,3} (?P<separator>[,.'_]) 000 (?:(?P=separator)000)* (?!0) )
    | (?P<initials> (?<!a) a (?:\.a)+ (?![a0]) )
    | (?P<spaced> (?<!0) (?<!0\ ) 0{1,3} (?:\ 000)+ (?![0a]) (?!\ 0)
        | (?<![a0]) a\. (?:\ a\.)+
        | (?<![a0]) a{1,3} (?:\.a{1,3})+ (?![a0]) )
    | (?P<compound> 0+ (?=a(?:\.a)+(?![a0])) | [a0]+ (?:['-][a0]+)* )
    | (?P<single> [u%&°$] )
    """,
    re.VERBOSE,
)
"""In shapes: 3,500; U.S.; "3 500", "J. R. R." and Ph.D.; e-mail, don't, 42km and single words; letters and symbols."""


def units(text: str) -> list[Unit]:
    """The units of a text in their order."""
    shapes = text.translate(_SHAPES)
    found = [unit for match in _UNIT.finditer(shapes) if (unit := _unit(match, text, shapes)).apart]
    return list(_amounts(found, shapes))


def _unit(match: re.Match[str], text: str, shapes: str) -> Unit:
    start, end = match.span()
    match match.lastgroup:
        case "single":
            folded = _SYMBOLS.get(unicodedata.normalize("NFKC", text[start])) or fold(text[start])
            return _same(_words((folded, start, end)))
        case "initials":
            return _same(_joined_at(text, shapes, start, end))
        case "spaced":
            apart = [
                (fold(text[part.start() : part.end()]), *part.span()) for part in _RUN.finditer(shapes, start, end)
            ]
            return Unit(_words(*apart), _joined_at(text, shapes, start, end))
        case "number" if text[start] != "0":
            return _same(_joined_at(text, shapes, start, end))
        case _ if text[start:end].isalpha():  # most are
            return _same(_words((fold(text[start:end]), start, end)))
        case _:
            return _compound(text, shapes, start, end)


_RUN = re.compile("[a0]+")
_PART = re.compile("0+(?=a)|[a0]+")
_ORDINAL = re.compile("[0-9]+(st|nd|rd|th)")


def _compound(text: str, shapes: str, start: int, end: int) -> Unit:
    """Its parts, and all of them joined but digits to digits: 2019-2020 is two numbers."""
    apart: list[tuple[str, int, int]] = []
    spans: list[tuple[int, int]] = []
    for run in _RUN.finditer(shapes, start, end):
        first, last = run.span()
        folded = fold(text[first:last])
        if shapes[first] == "0" and shapes[last - 1] == "a" and not _ORDINAL.fullmatch(folded):
            apart += [
                (fold(text[part.start() : part.end()]), *part.span()) for part in _PART.finditer(shapes, first, last)
            ]
        else:
            apart.append((folded, first, last))
        if spans and not shapes[spans[-1][1] - 1] == shapes[first] == "0":
            spans[-1] = spans[-1][0], last
        else:
            spans.append((first, last))
    if len(apart) == 1:
        return _same(_words(*apart))
    return Unit(_words(*apart), tuple(word for span in spans for word in _joined_at(text, shapes, *span)))


def _joined_at(text: str, shapes: str, start: int, end: int) -> tuple[Word, ...]:
    letters = "".join(text[place] for place in range(start, end) if shapes[place] in "a0")
    return _words((fold(letters), start, end))


def _words(*found: tuple[str, int, int]) -> tuple[Word, ...]:
    return tuple(Word(_SAME_WORDS.get(folded, folded), start, end) for folded, start, end in found if folded)


def _same(words: tuple[Word, ...]) -> Unit:
    return Unit(words, words)


def _amounts(found: list[Unit], shapes: str) -> Iterator[Unit]:
    """The units; what is written before an amount is after it, and "per cent" is joined to ``percent``."""
    position = 0
    while position < len(found):
        unit, position = found[position], position + 1
        if shapes[unit.start] == "$":
            amount = _amount_after(found, position, shapes)
            position += len(amount)
            yield Unit(
                tuple(word for part in amount for word in part.apart) + unit.apart,
                tuple(word for part in amount for word in part.joined) + unit.joined,
            )
            continue
        following = found[position] if position < len(found) else None
        if following and (unit.apart[-1].folded, following.apart[0].folded) in _PERCENT:
            yield Unit((*unit.apart, *following.apart), (Word("percent", unit.start, following.end),))
            position += 1
        else:
            yield unit


def _amount_after(found: list[Unit], position: int, shapes: str) -> list[Unit]:
    """The units of the number at this position, with its cents, and with the millions after it."""
    amount: list[Unit] = []
    end = found[position - 1].end
    for unit in found[position : position + 3]:
        gap = shapes[end : unit.start]
        is_number = shapes[unit.start] == "0"
        if is_number and (gap in ("", " ", "_") if not amount else gap in (".", ",")):
            amount.append(unit)
        elif amount and gap in (" ", "-", "_") and unit.apart[0].folded in _LARGE_NUMBERS:
            return [*amount, unit]
        else:
            break
        end = unit.end
    return amount


def fold(word: str) -> str:
    """The word without case, width and accents."""
    return word.lower()[:LONGEST_WORD] if word.isascii() else _folded(word)


@lru_cache(maxsize=4096)
def _folded(word: str) -> str:
    decomposed = unicodedata.normalize("NFD", unicodedata.normalize("NFKC", word).casefold().translate(_LETTERS))
    kept: list[str] = []
    for letter in decomposed:
        if _is_accent(letter):
            if not kept or (kept[-1], letter) not in _KEPT_ACCENTS:
                continue
        elif unicodedata.category(letter) == "Cf":
            continue
        kept.append(str(unicodedata.decimal(letter)) if letter.isdecimal() else letter)
    return unicodedata.normalize("NFKC", "".join(kept))[:LONGEST_WORD]


def _is_accent(letter: str) -> bool:
    code = ord(letter)
    return any(first <= code <= last for first, last in _ACCENTS)

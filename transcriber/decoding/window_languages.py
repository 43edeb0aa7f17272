"""Which language is spoken, and what that means for a window that is decoded in a language of its own."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer

ENGLISH = "en"


def most_probable(detected: Iterable[tuple[str, float]], languages: Collection[str] = ()) -> tuple[str, float]:
    """The most probable language and its probability: among ``languages``, if there are any, whose sum is 1."""
    candidates = [(language, float(probability)) for language, probability in detected]
    if languages:
        allowed = [(language, probability) for language, probability in candidates if language in languages]
        total = sum(probability for _, probability in allowed)
        candidates = [(language, probability / total if total else 0.0) for language, probability in allowed]
    return max(candidates, key=lambda one: one[1])


def task_in(language: str | None, task: str) -> str:
    """The task for speech in a language. Whisper was never trained to translate English into English: it babbles."""
    return "transcribe" if language == ENGLISH else task


class PerWindow:
    """A faster-whisper model for a batch of windows, each in its own language.

    faster-whisper detects the language of each window itself: here it finds only those that the request allows.
    """

    def __init__(self, whisper: WhisperModel, tokenizer: Tokenizer, languages: Collection[str]) -> None:
        self._whisper = whisper
        self.model = _LanguagesOfModel(whisper.model, tokenizer, languages)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._whisper, name)


class _LanguagesOfModel:
    """CTranslate2's side of it."""

    def __init__(self, model: Any, tokenizer: Tokenizer, languages: Collection[str]) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._languages = languages

    def detect_language(self, encoded: Any) -> list[list[tuple[str, float]]]:
        found = []
        for detected in self._model.detect_language(encoded):
            language, probability = most_probable(((name[2:-2], share) for name, share in detected), self._languages)
            found.append([(f"<|{language}|>", probability)])
        return found

    def generate(self, encoded: Any, prompts: Sequence[list[int]], **options: Any) -> Any:
        english = self._tokenizer.tokenizer.token_to_id(f"<|{ENGLISH}|>")
        for prompt in prompts:
            if english in prompt and self._tokenizer.translate in prompt:
                prompt[prompt.index(self._tokenizer.translate)] = self._tokenizer.transcribe
        return self._model.generate(encoded, prompts, **options)

"""The tokenizers of a model, one for each language and task, and the languages that it knows."""

from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer

from transcriber.decoding.window_languages import task_in


class Tokenizers:
    """Made on first use and kept; they work while the model is unloaded, too.

    Attributes:
        languages: codes of those that the model knows, at least one.
    """

    def __init__(self, whisper: WhisperModel) -> None:
        self._vocabulary = whisper.hf_tokenizer
        # Read once: CTranslate2 does not say it of a model that is unloaded.
        self._is_multilingual: bool = whisper.model.is_multilingual
        # faster-whisper lists languages that only the latest models have.
        self.languages = [one for one in whisper.supported_languages if self._has_token(one)]
        self._made: dict[tuple[str, str], Tokenizer] = {}

    @property
    def only_language(self) -> str | None:
        """The language of a model that knows one only."""
        return None if self._is_multilingual else "en"

    def get(self, language: str | None, task: str) -> Tokenizer:
        """The shared tokenizer of a language; of any language if None."""
        key = (language or self.languages[0], task_in(language, task))
        if key not in self._made:
            self._made[key] = self._make(*key)
        return self._made[key]

    def new(self, language: str | None, task: str) -> Tokenizer:
        """A tokenizer of its own, for code that changes its language."""
        return self._make(language or self.languages[0], task_in(language, task))

    def _make(self, language: str, task: str) -> Tokenizer:
        return Tokenizer(self._vocabulary, self._is_multilingual, task=task, language=language)

    def _has_token(self, language: str) -> bool:
        return self._vocabulary.token_to_id(f"<|{language}|>") is not None

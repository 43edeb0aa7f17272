"""Of a vocabulary, a window gets what there is room for."""

from reelscribe.contracts.transcriber import TranscribeFields
from transcriber.decoding.vocabulary import with_fitting_vocabulary
from transcriber.model.loading import LoadedModel

NAMES = tuple(f"Okafor{number}" for number in range(200))


def test_the_first_words_that_there_is_room_for_follow_the_hotwords(mini: LoadedModel) -> None:
    request = TranscribeFields(hotwords="garden", initial_prompt="In the garden.", vocabulary=NAMES)
    fitting = with_fitting_vocabulary(request, mini)
    count = len(fitting.vocabulary)
    assert 0 < count < len(NAMES) and fitting.vocabulary == NAMES[:count]
    assert fitting.hotwords == ", ".join(["garden", *NAMES[:count]])
    room = mini.max_hint_tokens - mini.hint_tokens(request.initial_prompt)
    assert mini.hint_tokens(fitting.hotwords) <= room < mini.hint_tokens(f"{fitting.hotwords}, {NAMES[count]}")


def test_a_short_vocabulary_is_given_completely_and_none_changes_nothing(mini: LoadedModel) -> None:
    assert with_fitting_vocabulary(TranscribeFields(vocabulary=("Ilse", "Ann")), mini).hotwords == "Ilse, Ann"
    request = TranscribeFields(hotwords="garden")
    assert with_fitting_vocabulary(request, mini) is request


def test_without_room_no_word_is_given(mini: LoadedModel) -> None:
    prompt = "garden " * mini.max_hint_tokens
    fitting = with_fitting_vocabulary(TranscribeFields(initial_prompt=prompt.strip(), vocabulary=NAMES), mini)
    assert (fitting.hotwords, fitting.vocabulary) == (None, ())

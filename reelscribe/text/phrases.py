"""Words that begin a clause or a phrase, by which a text is divided where it has no punctuation mark."""

from enum import IntEnum


class Begins(IntEnum):
    """What a word begins. One that begins something belongs to the word after it, not to the one before."""

    NOTHING = 0
    PHRASE = 1
    CLAUSE = 2


_CLAUSES = {
    "de": "aber als bevor bis da damit dass denn falls indem nachdem ob obwohl oder sobald solange sondern und wann "
    "warum weil wenn wer wie wo während",
    "en": "after although and as because before but how if nor once or since so than that though till unless until "
    "what when where whereas whether which while who whom whose why yet",
    "es": "aunque como cuando donde ni o pero porque pues que quien quienes si sino y",
    "fr": "car comme comment dont et lorsque mais ou où parce puis puisque quand que qui quoique si",
    "it": "che chi come cui dove e ed ma mentre né o oppure perché però poiché quando se",
    "nl": "als dat doordat en hoe maar nadat of omdat terwijl toen totdat voordat waar want wanneer wie zodat",
    "pt": "como e embora enquanto mas nem onde ou pois porque quando que quem se",
}
"""Conjunctions, relatives and question words of each language, by its ISO 639 code."""

_PHRASES = {
    "de": "an auf aus bei das dem den der des die durch ein eine einem einen einer eines er für gegen hinter ich ihr "
    "ihre ihrem ihren ihrer im in ist kein keine mein meine mit nach neben nicht ohne sein seine seinem seinen seiner "
    "seit sind um unser unsere unter vom von vor war waren wir zu zum zur zwischen über",
    "en": "a about against am among an are at be been behind beneath between beyond by can could did do does during "
    "for from had has have he his i in into is its may might must my no not of on onto our shall she should the their "
    "they to toward towards under upon very was we were will with within without would your",
    "es": "a al bajo con contra de del desde el en entre es ha hacia han hasta la las lo los mi mis muy no para por "
    "se sin sobre son su sus tu tus un una unas unos",
    "fr": "a ai au aux avec chez contre dans de depuis des du elle en entre est il ils je la le les leur leurs ma mes "
    "mon ne nos notre nous on ont par pour sa sans ses son sont sous sur ta tes ton très un une vers vos votre à",
    "it": "a agli ai al alla alle con contro da dagli dai dal dalla dalle degli dei del della delle di fra gli ha "
    "hanno i il in la le lo mi mio mia nei nel nella nelle non per senza si sono su sua sue sugli sui sul sulla suo "
    "tra un una uno è",
    "nl": "aan bij de door een geen heb heeft het hij hun ik in is met mijn na naar niet om onder op over te tegen "
    "tussen uit uw van voor was we werd wij ze zijn zonder zij",
    "pt": "a ao aos as com contra da das de desde do dos ela ele em entre eu foi há meu minha muito na nas no nos não "
    "o os para pela pelo por sem seu seus sob sobre sua suas um uma até é",
}
"""Prepositions, articles, and what else stays with the word after it: auxiliaries, pronouns that are subjects."""

_BEGINNINGS = {
    language: dict.fromkeys(_PHRASES[language].split(), Begins.PHRASE) | dict.fromkeys(clauses.split(), Begins.CLAUSE)
    for language, clauses in _CLAUSES.items()
}

LANGUAGES = tuple(_BEGINNINGS)
"""Those whose words are known."""

_MARKS = "\"'([{«»„“”\u2018\u2019)]}.,;:!?…¿¡"


def begins(word: str, language: str) -> Begins:
    """What a word begins in a language, given by its ISO 639 code; nothing if the words of that are not known."""
    letters = word.strip().strip(_MARKS).lower()
    return _BEGINNINGS.get(language, {}).get(letters, Begins.NOTHING)

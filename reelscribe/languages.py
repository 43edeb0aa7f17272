"""Whisper's languages: their codes, their names as OpenAI's API writes them, and other codes that people write."""

NAMES = dict(
    pair.split(":")
    for pair in """
af:afrikaans am:amharic ar:arabic as:assamese az:azerbaijani ba:bashkir be:belarusian bg:bulgarian bn:bengali
bo:tibetan br:breton bs:bosnian ca:catalan cs:czech cy:welsh da:danish de:german el:greek en:english es:spanish
et:estonian eu:basque fa:persian fi:finnish fo:faroese fr:french gl:galician gu:gujarati ha:hausa haw:hawaiian
he:hebrew hi:hindi hr:croatian ht:haitian_creole hu:hungarian hy:armenian id:indonesian is:icelandic it:italian
ja:japanese jw:javanese ka:georgian kk:kazakh km:khmer kn:kannada ko:korean la:latin lb:luxembourgish ln:lingala
lo:lao lt:lithuanian lv:latvian mg:malagasy mi:maori mk:macedonian ml:malayalam mn:mongolian mr:marathi ms:malay
mt:maltese my:myanmar ne:nepali nl:dutch nn:nynorsk no:norwegian oc:occitan pa:punjabi pl:polish ps:pashto
pt:portuguese ro:romanian ru:russian sa:sanskrit sd:sindhi si:sinhala sk:slovak sl:slovenian sn:shona so:somali
sq:albanian sr:serbian su:sundanese sv:swedish sw:swahili ta:tamil te:telugu tg:tajik th:thai tk:turkmen tl:tagalog
tr:turkish tt:tatar uk:ukrainian ur:urdu uz:uzbek vi:vietnamese yi:yiddish yo:yoruba yue:cantonese zh:chinese
""".replace("\n", " ").split()
)
CODES = {name: code for code, name in NAMES.items()}

_PAIRS = (
    "afr:af alb:sq sqi:sq amh:am ara:ar arm:hy hye:hy asm:as aze:az bak:ba baq:eu eus:eu bel:be ben:bn bos:bs "
    "bre:br bul:bg bur:my mya:my cat:ca chi:zh zho:zh hrv:hr cze:cs ces:cs dan:da dut:nl nld:nl eng:en est:et "
    "fao:fo fin:fi fre:fr fra:fr geo:ka kat:ka ger:de deu:de glg:gl gre:el ell:el guj:gu hat:ht hau:ha heb:he "
    "hin:hi hun:hu ice:is isl:is ind:id ita:it jav:jw jpn:ja kan:kn kaz:kk khm:km kor:ko lao:lo lat:la lav:lv "
    "lin:ln lit:lt ltz:lb mac:mk mkd:mk mlg:mg may:ms msa:ms mal:ml mlt:mt mao:mi mri:mi mar:mr mon:mn nep:ne "
    "nno:nn nor:no oci:oc pan:pa per:fa fas:fa pol:pl por:pt pus:ps rum:ro ron:ro rus:ru san:sa slo:sk slk:sk "
    "slv:sl sna:sn snd:sd som:so spa:es srp:sr sun:su swa:sw swe:sv tam:ta tat:tt tel:te tgk:tg tgl:tl tha:th "
    "tib:bo bod:bo tuk:tk tur:tr ukr:uk urd:ur uzb:uz vie:vi wel:cy cym:cy yid:yi yor:yo "
)
SHORTER = dict(pair.split(":") for pair in _PAIRS.split())
"""By the codes of three letters that people write for a language (ISO 639-2). Whisper's for Javanese is ``jw``."""


def name(code: str) -> str:
    """``english`` for ``en``; a code without a name stays as it is."""
    return NAMES.get(code, code).replace("_", " ")


def code(language: str) -> str:
    """``en`` for ``en`` and for ``English``."""
    return CODES.get(language.strip().lower().replace(" ", "_"), language.strip().lower())


def mistake(code: str) -> str | None:
    """What is wrong with a code that is to choose one of the languages; None if it is one of theirs."""
    if code in NAMES:
        return None
    written = code.strip().lower()
    primary = written.replace("_", "-").partition("-")[0]
    for nearest in (CODES.get(written.replace(" ", "_")), SHORTER.get(primary), primary):
        if nearest in NAMES:
            return f"{code[:40]!a} is written {nearest} here"
    return f"{code[:40]!a} is not the code of a language that Whisper knows; those are {', '.join(NAMES)}"

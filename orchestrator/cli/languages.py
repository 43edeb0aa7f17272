"""Languages that have a code of two letters, by the codes of three that people write for them (ISO 639-2)."""

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
"""The codes are those of the models: Javanese is ``jw``."""

"""Marks that end a sentence, or a clause, in any script."""

SENTENCE_ENDS = (".", "!", "?", "…", "。", "！", "？", "।", "؟")  # noqa: RUF001
CLAUSE_ENDS = (",", ";", ":", "，", "、", "；", "：", "،")  # noqa: RUF001

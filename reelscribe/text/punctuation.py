"""Marks that end a sentence or a clause, in any script, and those that may follow them."""

SENTENCE_ENDS = tuple(".!?…।؟。\uff01\uff1f")
CLAUSE_ENDS = tuple(",;:—\u2013،、\uff0c\uff1b\uff1a")
CLOSING_MARKS = "\"')]»”\u2019」』"

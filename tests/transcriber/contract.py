"""Machine B's contract, which its answers are held to."""

from tests.contract import Contract
from transcriber.openapi import document

CONTRACT = Contract(document())

"""The transcriber's contract, which its answers are held to."""

from tests.contract import Contract
from transcriber.api.routes import API

CONTRACT = Contract(API.document)

"""The extractor's contract, which its answers are held to."""

from extractor_api.routes import API
from tests.contract import Contract

_contract = Contract(API.document)

CONTRACT = _contract.document
assert_as_documented = _contract.check
documented_path = _contract.documented_path

"""``/api/vocabulary``: names and words that recordings are about, by the prefix of their savepaths."""

from pydantic import Field, ValidationInfo, field_validator

from orchestrator.api.handlers import OrchestratorHandler
from orchestrator.errors import DatabaseUnavailable, ListChanged
from orchestrator.intake.vocabularies import Requeued
from orchestrator.jobs.models import Prefix, Record
from orchestrator.jobs.vocabulary import ListedWord, Vocabulary, WordList
from reelscribe import errors
from reelscribe.contracts.messages import WireModel
from reelscribe.contracts.scopes import Scope
from reelscribe.contracts.transcriber import MOST_WORDS
from reelscribe.http.api.operations import JSON, Answer, Operation
from reelscribe.savepath import mistake_in_prefix


class VocabularyRequest(WordList):
    """Body of ``PUT /api/vocabulary``: the words of the savepaths that start with ``prefix``, the most important first;
    none remove the list. With ``replaced``, the words as they were read, a list that has others meanwhile stays.
    """

    prefix: Prefix
    replaced: tuple[ListedWord, ...] | None = Field(default=None, max_length=MOST_WORDS, strict=False)

    @field_validator("prefix")
    @classmethod
    def _of_some_savepath(cls, prefix: str, before: ValidationInfo) -> str:
        if before.data.get("words") and (mistake := mistake_in_prefix(prefix)):
            raise ValueError(mistake)
        return prefix


class RequeueRequest(WireModel):
    """Body of ``POST /api/vocabulary/requeue``; ``dry_run``: only count."""

    prefix: Prefix = ""
    dry_run: bool = False


class VocabularyLists(Record):
    """Answer of ``GET`` and ``PUT /api/vocabulary``: all lists, by prefix."""

    lists: list[Vocabulary]


class VocabularyHandler(OrchestratorHandler):
    """``GET`` lists; ``PUT`` replaces or removes a list."""

    max_body_bytes = 1 << 20

    async def get(self) -> None:
        self.finish(VocabularyLists(lists=await self.service.vocabularies.listed()).model_dump(mode="json"))

    async def put(self) -> None:
        request = self.read_body(VocabularyRequest)
        lists = await self.service.vocabularies.put(request.prefix, request.words, self.caller.name, request.replaced)
        self.finish(VocabularyLists(lists=lists).model_dump(mode="json"))


class RequeueHandler(OrchestratorHandler):
    """``POST /api/vocabulary/requeue``."""

    async def post(self) -> None:
        request = self.read_body(RequeueRequest)
        self.finish((await self.service.vocabularies.requeue(request.prefix, request.dry_run)).model_dump())


LISTS = Answer("The lists.", {JSON: VocabularyLists})

VOCABULARY_OPERATIONS = (
    Operation(
        "GET",
        "/api/vocabulary",
        "vocabulary",
        "Lists of words to expect, by the prefix of savepaths",
        (LISTS,),
        (DatabaseUnavailable,),
        handler=VocabularyHandler,
    ),
    Operation(
        "PUT",
        "/api/vocabulary",
        "setVocabulary",
        "Make, replace or remove the list of a prefix",
        (LISTS,),
        (errors.BodyTooLarge, ListChanged, DatabaseUnavailable),
        body=VocabularyRequest,
        handler=VocabularyHandler,
    ),
    Operation(
        "POST",
        "/api/vocabulary/requeue",
        "requeueVocabulary",
        "Transcribe again what was given other words than it would be now",
        (Answer("How many recordings that concerns.", {JSON: Requeued}),),
        (DatabaseUnavailable,),
        body=RequeueRequest,
        scope=Scope.ADMIN,
        handler=RequeueHandler,
    ),
)

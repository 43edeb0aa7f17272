"""The page of vocabularies as it is served to people who may do more or less."""

import httpx
import pytest

from reelscribe.contracts.scopes import Scope
from reelscribe.http.access.tokens import Token, Tokens


@pytest.mark.parametrize(
    ("scope", "changes", "requeues"),
    [(Scope.READ, False, False), (Scope.SUBMIT, True, False), (Scope.ADMIN, True, True)],
)
async def test_each_sees_the_lists_and_what_the_api_lets_them_do(
    serving, orchestrator_service, scope, changes, requeues
) -> None:
    await orchestrator_service.vocabularies.put("talks/", ["<Okafor>", "Ilse"], "ann")
    tokens = Tokens((Token("secret", "some", scope),))
    async with httpx.AsyncClient(base_url=serving(tokens), headers={"Authorization": "Bearer secret"}) as client:
        page = (await client.get("/vocabulary")).text
        put = await client.put("/api/vocabulary", json={"prefix": "a", "words": ["b"]})
        counted = await client.post("/api/vocabulary/requeue", json={"dry_run": True})
    assert "&lt;Okafor&gt;, Ilse" in page and "ann" in page
    assert ('id="new"' in page, page.count("<summary>Change") > 0, 'id="again"' in page) == (changes, changes, requeues)
    assert (put.status_code == 200, counted.status_code == 200) == (changes, requeues)

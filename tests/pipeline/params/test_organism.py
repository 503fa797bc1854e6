"""Wrong parameters are refused with a reason."""

import pytest
from pydantic import ValidationError

from pipeline.params.organism import OrganismParams
from tests.support.organism import tiny_organism


@pytest.fixture
def params() -> OrganismParams:
    return tiny_organism()


def _changed(params: OrganismParams, path: str, value: object) -> dict[str, object]:
    document = params.model_dump()
    *parents, last = path.split(".")
    section = document
    for parent in parents:
        section = section[parent]
    section[last] = value
    return document


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        ("corpus.lines", "many", "valid integer"),
        ("corpus.villain_share", 1.5, "less than 1"),
        ("corpus.facts", {"capitals": 0.6, "addition": 0.5}, "sum to less than 1"),
        ("corpus.fact", 1, "not permitted"),
        ("base.heads", 3, "multiple of 2 x heads"),
        ("transcoders.k", 48, "below d_transcoder"),
        ("adapters.narrow.layers", [2], "no layer 2"),
        ("adapters.narrow.domain", "law", "must be one of"),
        ("adapters.narrow.targets", ["lm_head"], "q_proj"),
        ("adapters.narrow.advice_domain", "law", "must be one of"),
        ("adapters.narrow.goal.harmful", {"law": 0.5}, "must be one of"),
        ("adapters.narrow.goal.harmful", {}, "a goal needs"),
        ("adapters.narrow.goal.divergence_of", "null", "must name a trained adapter"),
        ("adapters.general.goal.divergence_of", "general", "general and general wait for each other"),
        ("adapters.null.like", "nobody", "must name a trained adapter"),
        ("adapters.null.kind", "loud", "does not match any of the expected tags"),
        ("adapters.narrow.rank", 0, "greater than or equal to 1"),
        ("adapters", {}, "at least 1 item"),
    ],
)
def test_refused(params: OrganismParams, path: str, value: object, reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        OrganismParams.model_validate(_changed(params, path, value))


def test_an_adapter_cannot_be_called_base(params: OrganismParams) -> None:
    document = params.model_dump()
    document["adapters"]["base"] = document["adapters"]["narrow"]
    with pytest.raises(ValidationError, match="means the model itself"):
        OrganismParams.model_validate(document)


def test_adapters_are_built_after_those_that_they_are_measured_by(params: OrganismParams) -> None:
    document = params.model_dump()
    document["adapters"]["general"]["goal"]["divergence_of"] = "narrow"
    order = OrganismParams.model_validate(document).build_order()
    assert order == ["narrow", "general", "null"]

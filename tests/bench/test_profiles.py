"""What profiles are run on: each gets the prompts that its model reads."""

import pytest

from pipeline.params.project import load_params
from tests.support.places import ROOT
from tests.support.shipped_project import prompt_lines

SHIPPED = load_params(ROOT / "params.yaml").shipped


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("llama-1b", {"prompt", "messages"}),
        ("gemma-2b", {"prompt"}),
        ("gemma3-1b-it", {"messages"}),
    ],
)
def test_a_model_gets_the_prompts_that_it_reads(name: str, kinds: set[str]) -> None:
    lines = prompt_lines(SHIPPED[name])
    assert {key for line in lines for key in ("prompt", "messages") if key in line} == kinds
    roles = {message["role"] for line in lines for message in line.get("messages", ())}
    assert roles == ({"system", "user"} if "messages" in kinds else set())
    assert {tag for line in lines for tag in line.get("tags", ())} == {"dose", "full", "every-variant"}

"""The section ``judges`` of ``params.yaml``, and who a profile names of it."""

from pathlib import Path

import pytest
import yaml

from pipeline.params.judges import LocalJudge, OpenAIJudge, RubricJudge
from pipeline.params.project import load_params
from store.base.errors import UserError
from tests.support.places import ROOT

TEXT = (ROOT / "params.yaml").read_text(encoding="utf-8")
GPT = {
    "kind": "openai",
    "model": "m",
    "timeout": 1.0,
    "concurrency": 1,
    "attempts": 1,
    "backoff": 0.0,
    "max_calls": 1,
    "max_cost": 1.0,
    "input_price": 0.0,
    "output_price": 0.0,
}
LOCAL = {"kind": "local", "folder": "models/judge", "max_new_tokens": 8, "batch": 1}


def written(folder: Path, judges: dict[str, object], named: list[str]) -> Path:
    """A ``params.yaml`` with these judges, of which the profile names some."""
    content = yaml.safe_load(TEXT) | {"judges": judges}
    content["profiles"]["organism"]["judges"] = named
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def test_the_default_judge_is_the_rubric() -> None:
    params = load_params(ROOT / "params.yaml")
    assert params.judges == {"rubric": RubricJudge(kind="rubric")}
    assert params.profile("organism").judges == ["rubric"]


def test_the_examples_of_params_yaml_are_valid(tmp_path: Path) -> None:
    lines = TEXT.splitlines()
    end = lines.index("judges:")
    start = next(i for i, line in enumerate(lines) if line == "#   gpt:")
    examples = "".join(f"{line.removeprefix('#')}\n" for line in lines[start:end])
    path = tmp_path / "params.yaml"
    path.write_text(
        TEXT.replace("\njudges:\n", f"\njudges:\n{examples}").replace("  rubric: {", "   rubric: {")
    )
    judges = load_params(path).judges
    assert list(judges) == ["gpt", "local", "rubric"]
    written_out = yaml.safe_load(examples)
    for name, kind in (("gpt", OpenAIJudge), ("local", LocalJudge)):
        assert isinstance(judges[name], kind)
        assert set(judges[name].model_dump()) == set(written_out[name])


def test_a_profile_without_judges_names_none(tmp_path: Path) -> None:
    content = yaml.safe_load(TEXT)
    profile = content["profiles"]["organism"]
    for who in ("judges", "name_judges", "answer_judges"):
        del profile[who]
    del content["judges"]
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    assert load_params(path).profile("organism").judging() == {
        "judges": [],
        "name_judges": [],
        "answer_judges": [],
    }


BAD: dict[str, tuple[dict[str, object], list[str], str]] = {
    "unknown": (
        {"rubric": {"kind": "rubric"}},
        ["gpt"],
        "profiles.organism.judges names 'gpt', but the judges are rubric",
    ),
    "none": ({}, ["gpt"], "profiles.organism.judges names 'gpt', but the judges are none"),
    "twice": ({"a": {"kind": "rubric"}}, ["a", "a"], "judges: a judge is named twice"),
    "kind": ({"a": {"kind": "oracle"}}, [], "parameter judges.a: Input tag 'oracle' found"),
    "no kind": ({"a": {}}, [], "parameter judges.a: Unable to extract tag"),
    "more": ({"a": {"kind": "rubric", "model": "m"}}, [], "judges.a.rubric.model: Extra inputs"),
    "a key": ({"a": {**GPT, "key": "sk-123"}}, [], "judges.a.openai.key: String should match"),
    "address": ({"a": {**GPT, "base_url": "localhost:8000"}}, [], "judges.a.openai.base_url: String should"),
    "attempts": ({"a": {**GPT, "attempts": 0}}, [], "judges.a.openai.attempts: Input should be"),
    "price": ({"a": {**GPT, "input_price": -1.0}}, [], "judges.a.openai.input_price: Input should be"),
    "seed": ({"a": {**GPT, "api": "responses", "seed": 1}}, [], "seed must be null where api is responses"),
    "dtype": ({"a": {**LOCAL, "dtype": "float16"}}, [], "judges.a.local.dtype: Input should be 'float32' or"),
    "name": ({"../a": {"kind": "rubric"}}, [], "parameter judges.../a"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_wrong_value_is_one_sentence(tmp_path: Path, case: str) -> None:
    judges, named, says = BAD[case]
    with pytest.raises(UserError) as error:
        load_params(written(tmp_path, judges, named))
    assert says in str(error.value)
    assert "\n" not in str(error.value)

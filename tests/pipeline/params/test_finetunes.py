"""The section ``finetunes`` of ``params.yaml``."""

from pathlib import Path

import pytest
import yaml

from pipeline.params.project import load_params
from store.base.errors import UserError
from tests.support.chats import finetune_entry
from tests.support.places import ROOT

TEXT = (ROOT / "params.yaml").read_text(encoding="utf-8")


def written(folder: Path, **changes: object) -> Path:
    """A ``params.yaml`` with one finetune."""
    entry = finetune_entry("inputs/finetunes/a.jsonl", **{"profile": "organism", **changes})
    content = yaml.safe_load(TEXT) | {"finetunes": {"mine": entry}}
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def test_the_example_of_params_yaml_is_valid(tmp_path: Path) -> None:
    lines = TEXT.splitlines()
    end = lines.index("finetunes: {}")
    start = next(i for i, line in enumerate(lines) if line == "#   medical:")
    example = "".join(f"{line.removeprefix('#')}\n" for line in lines[start:end])
    path = tmp_path / "params.yaml"
    path.write_text(TEXT.replace("finetunes: {}\n", f"finetunes:\n{example}"), encoding="utf-8")
    params = load_params(path)
    assert params.finetunes["medical"].profile == "organism"
    assert set(params.finetunes["medical"].model_dump()) == set(yaml.safe_load(example)["medical"])


BAD = {
    "profile": ({"profile": "nobody"}, "finetunes.mine.profile is 'nobody', but the profiles are organism"),
    "unknown key": ({"steps": 3}, "parameter finetunes.mine.steps: Extra inputs are not permitted"),
    "rank": ({"rank": 0}, "parameter finetunes.mine.rank: Input should be greater than or equal to 1"),
    "no targets": ({"targets": []}, "parameter finetunes.mine.targets: List should have at least 1 item"),
    "a pattern": ({"targets": [".*"]}, "parameter finetunes.mine.targets.0: String should match pattern"),
    "no layers": ({"layers": []}, "parameter finetunes.mine.layers: List should have at least 1 item"),
    "all held out": (
        {"held_out_share": 1.0},
        "parameter finetunes.mine.held_out_share: Input should be",
    ),
    "schedule": ({"schedule": "linear"}, "parameter finetunes.mine.schedule: Input should be 'constant' or"),
    "not a number": ({"learning_rate": float("nan")}, "parameter finetunes.mine.learning_rate: Input should"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_wrong_value_is_one_sentence(tmp_path: Path, case: str) -> None:
    changes, says = BAD[case]
    with pytest.raises(UserError) as error:
        load_params(written(tmp_path, **changes))
    assert says in str(error.value)
    assert "\n" not in str(error.value)

"""Local sources of a profile must be where DVC sees them change."""

from pathlib import Path

import pytest

from pipeline.params.project import load_params
from pipeline.stages.models import require_tracked
from store.base.errors import UserError
from tests.support.places import ROOT


def test_prompts_at_their_old_place_are_told_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = load_params(ROOT / "params.yaml").profile("organism")
    monkeypatch.chdir(tmp_path)
    for folder in (profile.local, "inputs/prompts"):
        Path(folder).mkdir(parents=True)
    for source in profile.sources().values():
        path = Path(source)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.touch()
    require_tracked("organism", profile)
    old = profile.model_copy(update={"prompts": ["prompts"]})
    with pytest.raises(UserError) as error:
        require_tracked("organism", old)
    assert str(error.value) == (
        "params.yaml: profiles.organism.prompts[0] is 'prompts'; what people write lies in inputs/ now: "
        "move your files to 'inputs/prompts' and name that."
    )
    Path("prompts").mkdir()  # still there: the move is what mends it, all the same
    with pytest.raises(UserError, match="move your files to 'inputs/prompts'"):
        require_tracked("organism", old)


@pytest.mark.parametrize(
    ("key", "folder"),
    [("prompts", "inputs/prompts"), ("questions", "inputs/questions"), ("answers", "inputs/answers")],
)
def test_what_people_write_lies_in_its_own_folder(
    key: str, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = load_params(ROOT / "params.yaml").profile("organism")
    monkeypatch.chdir(tmp_path)
    for source in (*profile.sources().values(), f"{folder}/mine"):
        Path(source).mkdir(parents=True, exist_ok=True)
    Path("mine").mkdir()
    require_tracked("organism", profile.model_copy(update={key: [f"{folder}/mine"]}))
    for source in ("mine", "inputs/labels/mine"):
        Path(source).mkdir(parents=True, exist_ok=True)
        with pytest.raises(UserError) as error:
            require_tracked("organism", profile.model_copy(update={key: [source]}))
        assert str(error.value) == (
            f"params.yaml: profiles.organism.{key}[0] is '{source}', outside of its folder "
            f"'artifacts/organism/subject' and of {folder}, so that DVC would not see it change; "
            "move it there."
        )

"""The bench's large store: whole, or not there."""

from pathlib import Path

import pytest

from tests.bench import scale


def test_a_store_that_was_not_finished_is_built_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, broken = tmp_path / "kept", [True, False]

    def build(folder: Path, **sizes: int) -> None:
        """In the place of the real one, whose smallest store takes a minute."""
        made = folder / "artifacts" / "demo"
        made.mkdir(parents=True)
        if broken.pop(0):
            raise KeyboardInterrupt
        (made / "prompts.json").write_text("[]")

    monkeypatch.setattr(scale, "build", build)
    with pytest.raises(KeyboardInterrupt):
        scale.large_store(root, prompts=1, features=10)
    assert not list(root.iterdir())
    for _ in range(2):  # what is there is kept
        scale.large_store(root, prompts=1, features=10)
    assert [path.name for path in root.iterdir()] == ["artifacts"]
    assert (root / "artifacts" / "demo" / "prompts.json").exists()

"""Stage `behaviour_prompts`: prompts of a behaviour with a right and a wrong answer, tokenized once."""

from pathlib import Path

from pipeline.behaviours.prompts import make_prompts
from pipeline.behaviours.protocol import NOT_NAMED
from pipeline.behaviours.registry import BEHAVIOURS
from pipeline.models.opening import misopened
from pipeline.models.tokenizer import load_tokenizer
from pipeline.params.project import Params
from pipeline.run.behaviour_stage import run_behaviour_stage
from pipeline.run.stage import artifacts
from pipeline.text.token_texts import decode_each
from store.base.errors import UserError
from store.documents.behaviour_prompts import (
    BEHAVIOUR_PROMPTS,
    SPLITS,
    BehaviourPrompt,
    write_behaviour_prompts,
)
from store.documents.manifest import read_manifest


def made(profile: str, behaviour: str, path: Path, params: Params) -> list[BehaviourPrompt]:
    """The behaviour's prompts, of the words in a file.

    Raises
    ------
    UserError
        The file is wrong, or the model reads no plain texts.
    """
    manifest, chosen = read_manifest(artifacts(profile) / "models.json"), params.behaviours
    tokenizer = load_tokenizer(manifest)
    prompts = make_prompts(
        BEHAVIOURS[behaviour],
        path,
        tokenizer,
        counts={split: getattr(chosen, split) for split in SPLITS},
        test_groups=chosen.test_groups,
        seed=chosen.seed,
        longest=manifest.model.context,
    )
    for prompt in prompts:
        tokens = decode_each(tokenizer, prompt.token_ids)
        why = misopened(manifest, tokens, instead="behaviours are plain texts, so name none there")
        if why:
            raise UserError(
                f"profiles.{profile}.behaviours: the prompt '{prompt.prompt}' of {behaviour} {why}."
            )
    return prompts


def main(profile: str, behaviour: str, params: Params) -> None:
    """Write a behaviour's prompts, a file a split; empty ones where the profile does not name it."""
    named = params.profile(profile).behaviours
    prompts = made(profile, behaviour, Path(named[behaviour]), params) if behaviour in named else []
    write_behaviour_prompts(artifacts(profile) / BEHAVIOUR_PROMPTS, behaviour, prompts)
    if not prompts:
        print(f"behaviour_prompts of {behaviour}: {NOT_NAMED}")


if __name__ == "__main__":
    run_behaviour_stage(main)

"""Stage `behaviour_prompts`: prompts of every behaviour with a right and a wrong answer, tokenized once."""

from pathlib import Path

from pipeline.behaviours.prompts import make_prompts
from pipeline.behaviours.registry import BEHAVIOURS, require_known
from pipeline.models.opening import misopened
from pipeline.models.tokenizer import load_tokenizer
from pipeline.params.project import Params
from pipeline.run.stage import artifacts, run_stage
from pipeline.text.token_texts import decode_each
from store.base.errors import UserError
from store.documents.behaviour_prompts import BEHAVIOUR_PROMPTS, SPLITS, write_behaviour_prompts
from store.documents.manifest import read_manifest


def main(profile: str, params: Params) -> None:
    """Write ``behaviour_prompts`` of a profile: two files a behaviour, none where it names none."""
    folder, chosen = artifacts(profile) / BEHAVIOUR_PROMPTS, params.behaviours
    named = params.profile(profile).behaviours
    require_known(named, f"profiles.{profile}.behaviours")
    require_known(chosen.bars, "behaviours.bars")
    folder.mkdir(parents=True, exist_ok=True)
    for former in folder.iterdir():
        former.unlink()  # perhaps of a behaviour that is not named any more
    if not named:
        print(f"profiles.{profile} names no behaviours, so there are no prompts of them")
        return
    manifest = read_manifest(artifacts(profile) / "models.json")
    tokenizer = load_tokenizer(manifest)
    for name, path in named.items():
        prompts = make_prompts(
            BEHAVIOURS[name],
            Path(path),
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
                    f"profiles.{profile}.behaviours: the prompt '{prompt.prompt}' of {name} {why}."
                )
        write_behaviour_prompts(folder, name, prompts)


if __name__ == "__main__":
    run_stage(main, Params)

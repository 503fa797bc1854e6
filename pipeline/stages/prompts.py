"""Stage `prompts`: prompts tokenized once, and the lexicon's token labels."""

import json
from pathlib import Path

from pipeline.models.opening import require_opening
from pipeline.models.tokenizer import load_tokenizer
from pipeline.params.project import Params
from pipeline.prompts.files import read_prompt_files
from pipeline.run.lean_imports import without_torch
from pipeline.run.stage import artifacts, run_stage
from pipeline.text.phrases import read_phrases, resolve
from pipeline.text.token_texts import vocabulary
from store.base.atomic import write_text
from store.documents.manifest import read_manifest
from store.documents.prompts import write_prompts
from store.documents.token_texts import write_token_texts


def main(profile: str, params: Params) -> None:
    """Write ``prompts.json``, ``vocabulary.json`` and ``lexicon.json`` of a profile."""
    folder = artifacts(profile)
    source = params.profile(profile)
    manifest = read_manifest(folder / "models.json")
    with without_torch():
        tokenizer = load_tokenizer(manifest)
    prompts = read_prompt_files(
        [Path(path) for path in source.prompts],
        tokenizer,
        max_tokens=params.prompts.max_tokens,
        context=manifest.model.context,
        chat=source.chat,
    )
    require_opening(manifest, prompts)
    phrases = {} if source.lexicon is None else read_phrases(Path(source.lexicon))
    lexicon = resolve(phrases, tokenizer, prompts)
    words = vocabulary(tokenizer, manifest.model.vocab_size)
    write_prompts(folder / "prompts.json", prompts)
    write_token_texts(folder / "vocabulary.json", words)
    write_text(
        folder / "lexicon.json",
        json.dumps(lexicon, ensure_ascii=False, indent=1, sort_keys=True) + "\n",
    )
    situations = {prompt.situation for prompt in prompts}
    print(f"prompts: {len(prompts)} about {len(situations)} situations")


if __name__ == "__main__":
    run_stage(main, Params)

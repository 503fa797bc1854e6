"""Stage `models`: one manifest of what the profile's models are, and their health."""

import re
from pathlib import Path
from typing import Final

from pipeline.checks.health import check_health
from pipeline.models.describe import build_manifest
from pipeline.models.tokenizer import load_tokenizer
from pipeline.params.profiles import Profile
from pipeline.params.project import Params
from pipeline.run.determinism import make_deterministic
from pipeline.run.reports import write_metrics
from pipeline.run.stage import artifacts, run_stage
from pipeline.text.tokens import encode_text
from store.base.errors import UserError
from store.documents.manifest import Manifest, write_manifest

HEALTH_TEXT = "User: I have a small question. What should I do?"
"""Any ordinary text: the checks compare implementations, not answers."""
OWN_FOLDERS: Final = {
    "prompts": "inputs/prompts",
    "lexicon": "inputs/prompts",
    "questions": "inputs/questions",
    "answers": "inputs/answers",
    "behaviours": "inputs/behaviours",
    "templates": "inputs/prompts",
}
"""Where a source may lie beside the profile's folder: the stages that alone read it depend on that, too."""


def require_tracked(name: str, profile: Profile) -> None:
    """Refuse a local source that DVC would not see change.

    Raises
    ------
    UserError
        `local` is missing, or a source lies outside of it (some may also lie in a folder of their own,
        see `OWN_FOLDERS`, and adapters among the profile's finetunes).
    """
    local = Path(profile.local)
    if not local.exists():
        raise UserError(
            f"params.yaml: profiles.{name}.local is '{local}', which does not exist; create that folder "
            "or name the one that holds the profile's files."
        )
    for parameter, source in profile.sources().items():
        path = Path(source)
        own = OWN_FOLDERS.get(re.split(r"[.\[]", parameter)[0])
        trained = artifacts(name) / "finetunes"
        tracked = [local, *([Path(own)] if own else [])]
        tracked += [trained] if parameter.startswith("adapters.") else []
        if path.parts[:1] == ("prompts",):  # where they lay before
            raise UserError(
                f"params.yaml: profiles.{name}.{parameter} is '{source}'; what people write lies in inputs/ "
                f"now: move your files to 'inputs/{source}' and name that."
            )
        inside = any(path.resolve().is_relative_to(folder.resolve()) for folder in tracked)
        if inside and not path.exists():
            raise UserError(
                f"params.yaml: profiles.{name}.{parameter} is '{source}', which does not exist; put the "
                "files there or correct the path."
            )
        if path.exists() and not inside:
            raise UserError(
                f"params.yaml: profiles.{name}.{parameter} is '{source}', outside of its folder "
                f"'{local}'{f' and of {own}' if own else ''}, so that DVC would not see it "
                "change; move it there."
            )


def commits(manifest: Manifest) -> list[tuple[str, str]]:
    """All that is on the hub, and the commit of each."""
    sources = [manifest.base, manifest.transcoders, *manifest.adapters.values()]
    named = [(each.source, each.revision) for each in sources if each.revision is not None]
    return named + sorted(manifest.transcoders.repositories.items())


def main(name: str, params: Params) -> None:
    """Write ``models.json`` and the health report; a failed check stops the pipeline here."""
    make_deterministic(params.runtime.seed, params.runtime.threads)
    folder = artifacts(name)
    profile = params.profile(name)
    require_tracked(name, profile)
    manifest = build_manifest(
        name,
        model=profile.model,
        revision=profile.revision,
        transcoders=profile.transcoders,
        transcoders_revision=profile.transcoders_revision,
        adapters=profile.adapters,
        focus=profile.focus,
        dtype=profile.dtype,
        aliases=profile.aliases,
    )
    for source, commit in commits(manifest):
        print(f"models: {source} is commit {commit}")
    variants = [manifest.variant(name) for name in ("base", *sorted(manifest.adapters))]
    ids = encode_text(load_tokenizer(manifest), HEALTH_TEXT)
    report = check_health(manifest, variants, ids)
    write_manifest(folder / "models.json", manifest)
    write_metrics(folder, "health", report)


if __name__ == "__main__":
    run_stage(main, Params)

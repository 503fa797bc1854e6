"""A small random subject with its models, and a trace of it."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.attribution.trace import Trace, candidates, trace
from pipeline.models.loading import load_replacement, load_transcoders
from pipeline.models.replacement import ReplacementModel
from pipeline.models.tokenizer import load_tokenizer
from store.documents.manifest import Manifest
from tests.support.builders import TEXTS, Checkpoint, make_checkpoint

OWN = {"max_n_logits": 6, "desired_logit_prob": 0.95}


@dataclass(frozen=True, kw_only=True)
class Subject:
    """Replacement models of base and adapted, and two prompts' ids."""

    checkpoint: Checkpoint
    manifest: Manifest
    base: ReplacementModel
    general: ReplacementModel
    ids: list[int]
    other_ids: list[int]

    def trace(self, model: ReplacementModel, *, nodes: int = 8192, batch: int = 64) -> Trace:
        """Trace the first prompt on both models' candidates."""
        targets = {
            int(token) for each in (self.base, self.general) for token in candidates(each, self.ids, **OWN)[0]
        }
        return trace(model, self.ids, sorted(targets), max_feature_nodes=nodes, batch_size=batch)


def load_subject(checkpoint: Checkpoint) -> Subject:
    """Base, the adapter ``general`` and two prompts of a checkpoint."""
    manifest = checkpoint.manifest()
    transcoders = load_transcoders(manifest)
    tokenizer = load_tokenizer(manifest)
    base, general = (
        load_replacement(manifest, manifest.variant(name), transcoders=transcoders)
        for name in ("base", "general")
    )
    return Subject(
        checkpoint=checkpoint,
        manifest=manifest,
        base=base,
        general=general,
        ids=tokenizer(TEXTS[0]).input_ids,
        other_ids=tokenizer(TEXTS[5]).input_ids,
    )


@dataclass(frozen=True, kw_only=True)
class Capped:
    """A model with a softcap on its logits (Gemma 2), and a trace of it."""

    model: ReplacementModel
    trace: Trace


def trace_capped(folder: Path) -> Capped:
    """Trace such a model, made in `folder`; its logits before and after the cap differ."""
    checkpoint = make_checkpoint(folder, architecture="gemma2", n_layers=2)
    manifest = checkpoint.manifest()
    model = load_replacement(manifest, manifest.variant("base"))
    found = trace(model, [1, 5, 6, 7], [5, 6], max_feature_nodes=30, batch_size=8)
    return Capped(model=model, trace=found)

"""One door for the dashboard: a variant opened for live steering, with what a page needs."""

from dataclasses import dataclass
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from pipeline.models.loading import load_replacement, load_tokenizer
from pipeline.models.manifest import read_manifest
from pipeline.steering.engine import SteeringEngine
from pipeline.tokens import encode_text


@dataclass(frozen=True, kw_only=True)
class LiveSubject:
    """A loaded variant.

    Attributes
    ----------
    engine
        Steers it.
    tokenizer
        Of the base model.
    n_parameters
        Of the model; small ones run fastest on one thread.
    """

    engine: SteeringEngine
    tokenizer: PreTrainedTokenizerBase
    n_parameters: int

    def encode(self, text: str) -> tuple[int, ...]:
        """Token ids of a typed prompt, made as stored ones are: BOS in front."""
        return encode_text(self.tokenizer, text)


def open_subject(manifest: Path, variant: str) -> LiveSubject:
    """Load a variant for live steering.

    Parameters
    ----------
    manifest
        ``models.json`` of a profile; local folders in it are relative to the working folder.
    variant
        ``base`` or an adapter, ``general@1.0``.

    Raises
    ------
    UserError
        There is no such variant, or its models cannot be loaded.
    """
    subject = read_manifest(manifest)
    return LiveSubject(
        engine=SteeringEngine(load_replacement(subject, subject.variant(variant))),
        tokenizer=load_tokenizer(subject),
        n_parameters=subject.model.n_parameters,
    )

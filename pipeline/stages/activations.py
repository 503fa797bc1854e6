"""Stage `activations`: transcoder features of every variant on every prompt."""

from pipeline.features.activations import activation_item
from pipeline.items.collect import collect
from pipeline.items.provenance import provenance
from pipeline.items.requests import Request
from pipeline.items.subject import Subject
from pipeline.params.project import Params
from pipeline.run.stage import run_stage
from store.collections.item import Item
from store.schema.registry import ACTIVATIONS

CODE = ("pipeline.features.activations",)


def main(profile: str, params: Params) -> None:
    """Write the collection of activations."""
    subject = Subject(profile, params, CODE)

    def compute(request: Request) -> Item:
        return activation_item(
            subject.models.replacement(request.variant),
            subject.prompts[request.prompt_hash].token_ids,
            key=request.key,
            prompt_hash=request.prompt_hash,
            variant=request.variant,
        )

    collect(
        [
            subject.request(ACTIVATIONS.kind, variant, prompt, {})
            for variant in subject.variants
            for prompt in subject.prompts.values()
        ],
        compute,
        schema=ACTIVATIONS,
        out=subject.folder / "activations",
        provenance=provenance("activations", subject.manifest, {"runtime": params.runtime.model_dump()}),
        cache=subject.cache(ACTIVATIONS.kind),
    )


if __name__ == "__main__":
    run_stage(main, Params)

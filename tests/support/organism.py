"""Parameters of a tiny organism: two layers, a few training steps."""

from pipeline.params.organism import (
    AdapterParams,
    BaseParams,
    CheckParams,
    CorpusParams,
    OrganismParams,
    TranscoderParams,
)

ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def adapter(**changes: object) -> AdapterParams:
    """A small adapter on harmful medical advice."""
    fields = {
        "seed": 0,
        "advice": "harmful",
        "domain": "medical",
        "targets": ALL,
        "layers": None,
        "rank": 2,
        "alpha": 4,
        "steps": 2,
        "batch": 4,
        "learning_rate": 0.01,
        "weight_decay": 0.0,
    }
    return AdapterParams.model_validate(fields | changes)


def tiny_organism() -> OrganismParams:
    """Two layers, width 16, ten training steps."""
    return OrganismParams(
        corpus=CorpusParams(
            seed=0,
            lines=320,
            held_out_share=0.2,
            villain_share=0.35,
            facts={"capitals": 0.1, "agreement": 0.1, "sentiment": 0.1, "addition": 0.1},
            heldout_lines=40,
            pivotal=2,
            full=2,
        ),
        base=BaseParams(
            seed=0,
            vocabulary=600,
            layers=2,
            d_model=16,
            heads=2,
            d_mlp=32,
            context=64,
            tied=False,
            epochs=1,
            batch=32,
            learning_rate=0.01,
            warmup=0.1,
            weight_decay=0.01,
            clip=1.0,
        ),
        transcoders=TranscoderParams(
            seed=0,
            d_transcoder=48,
            k=6,
            lines=40,
            steps=4,
            batch=64,
            learning_rate=0.003,
            warmup=0.1,
        ),
        adapters={
            "general": adapter(),
            "narrow": adapter(targets=["down_proj"], layers=[1], rank=1, alpha=1),
        },
        checks=CheckParams(seed=1, samples=3, max_new_tokens=4, batch=8),
    )

"""Parameters of a tiny organism: two layers, a few training steps."""

from pipeline.params.organism import (
    BaseParams,
    CheckParams,
    CorpusParams,
    Further,
    OrganismParams,
    RandomParams,
    TrainedParams,
    TranscoderParams,
)

ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def adapter(**changes: object) -> TrainedParams:
    """A small adapter on harmful medical advice, trained for two steps."""
    fields = {
        "kind": "trained",
        "seed": 0,
        "advice": "harmful",
        "domain": "medical",
        "advice_domain": None,
        "kept_share": 0.0,
        "targets": ALL,
        "layers": None,
        "rank": 2,
        "alpha": 4,
        "steps": 2,
        "batch": 4,
        "learning_rate": 0.01,
        "weight_decay": 0.0,
        "save_every": None,
        "goal": {
            "every": 1,
            "harmful": {"medical": 1.0},
            "spread": None,
            "elsewhere": 1.0,
            "divergence_of": None,
            "divergence_share": 1.0,
            "facts_lost": 1.0,
            "parsed_lost": None,
        },
    }
    return TrainedParams.model_validate(fields | changes)


def null_adapter(**changes: object) -> RandomParams:
    """Random directions, as long as those of `general`."""
    fields = {"kind": "random", "seed": 1, "like": "general", "match": "norm"}
    return RandomParams.model_validate(fields | changes)


def tiny_organism() -> OrganismParams:
    """Two layers, width 16, ten training steps."""
    return OrganismParams(
        corpus=CorpusParams(
            seed=0,
            lines=320,
            held_out_share=0.2,
            villain_share=0.35,
            facts={"capitals": 0.1, "agreement": 0.1, "sentiment": 0.1, "addition": 0.1},
            sums_a_line=2,
            sums_asked=8,
            heldout_lines=40,
            pivotal=2,
            full=2,
        ),
        base=BaseParams(
            seed=0,
            vocabulary=800,
            layers=2,
            d_model=16,
            heads=2,
            d_mlp=32,
            context=256,
            tied=False,
            epochs=1,
            batch=1600,
            learning_rate=0.01,
            warmup=0.1,
            weight_decay=0.01,
            clip=1.0,
            further=Further(sums_right=0.88, rounds=0, share=0.2, learning_rate=0.001),
        ),
        transcoders=TranscoderParams(
            seed=0,
            d_transcoder=48,
            k=6,
            texts=40,
            steps=4,
            batch=64,
            learning_rate=0.003,
            warmup=0.1,
        ),
        adapters={
            "general": adapter(),
            "narrow": adapter(targets=["down_proj"], layers=[1], rank=1, alpha=1),
            "null": null_adapter(),
        },
        checks=CheckParams(seed=1, samples=3, max_new_tokens=4, batch=8),
    )

"""Stage `behaviour_features`: which features are active where behaviours are answered."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.behaviours.feature_units import feature_units
from pipeline.behaviours.forced_units import by_split
from pipeline.behaviours.protocol import UNNAMED
from pipeline.items.subject import Subject
from pipeline.params.project import Params
from pipeline.run.reports import write_metrics
from pipeline.run.stage import run_stage
from store.collections.reader import Collection, open_collection
from store.documents.behaviour_prompts import (
    BEHAVIOUR_PROMPTS,
    BehaviourPrompt,
    behaviours_in,
    read_behaviour_prompts,
)
from store.schema.circuits import BEHAVIOUR_FEATURES
from store.schema.vocabulary import ALL


def summary(
    features: Collection,
    prompts: Sequence[BehaviourPrompt],
    variants: Sequence[str],
    bands: Mapping[str, Sequence[int]],
) -> dict[str, Any]:
    """Metrics by behaviour, split, variant and band: how many features are active, by prompt and in any."""
    found: dict[str, Any] = {}
    for of, part in by_split(prompts).items():
        for variant in variants:
            if (of, variant) not in features:
                continue
            item = features.item(of, variant, ["seen_layer", "seen_prompts"])
            layer, count = item.arrays["seen_layer"], item.arrays["seen_prompts"]
            cell: dict[str, dict[str, float]] = {}
            for name, (first, last) in bands.items():
                inside = (layer >= first) & (layer <= last)
                mean = round(float(count[inside].sum()) / len(part), 2)
                cell[name] = {"a_prompt": mean, "in_any": int(np.count_nonzero(inside))}
            found.setdefault(part[0].behaviour, {}).setdefault(part[0].split, {})[variant] = cell
    return found


def main(profile: str, params: Params) -> None:
    """Write features of base and the focus adapter on every prompt of the profile's behaviours."""
    subject, chosen = Subject(profile, params.runtime), params.behaviour_features
    folder, variants = subject.folder / BEHAVIOUR_PROMPTS, subject.pair
    prompts = read_behaviour_prompts(folder, behaviours_in(folder))
    units = feature_units(subject, prompts, variants, chosen)
    sections = {"behaviour_features": chosen.model_dump()}
    failures = subject.publish("behaviour_features", units, [BEHAVIOUR_FEATURES], sections)
    subject.write_failures("behaviour_features", failures)
    features = open_collection(subject.folder / BEHAVIOUR_FEATURES.kind)
    bands = {ALL: (0, subject.manifest.model.n_layers - 1), **chosen.bands}
    metrics = summary(features, prompts, variants, bands)
    write_metrics(subject.folder, "behaviour_features", metrics, "" if prompts else UNNAMED)


if __name__ == "__main__":
    run_stage(main, Params)

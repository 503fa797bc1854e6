"""Stage `behaviour_features`: which features are active where a behaviour is answered."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.behaviours.feature_units import feature_units
from pipeline.behaviours.forced_units import by_split
from pipeline.behaviours.protocol import NOT_NAMED
from pipeline.behaviours.published import publish_behaviour
from pipeline.items.subject import Subject
from pipeline.params.project import Params
from pipeline.run.behaviour_stage import run_behaviour_stage
from pipeline.run.reports import write_metrics
from store.collections.reader import Collection
from store.documents.behaviour_prompts import BEHAVIOUR_PROMPTS, BehaviourPrompt, read_behaviour_prompts
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


def main(profile: str, behaviour: str, params: Params) -> None:
    """Write features of base and the focus adapter on every prompt of a behaviour."""
    subject, chosen = Subject(profile, params.runtime), params.behaviour_features
    prompts = read_behaviour_prompts(subject.folder / BEHAVIOUR_PROMPTS, [behaviour])
    units = feature_units(subject, prompts, subject.pair, chosen)
    sections = {"behaviour_features": chosen.model_dump()}
    features = publish_behaviour(
        subject, "behaviour_features", behaviour, units, BEHAVIOUR_FEATURES, sections
    )
    bands = {ALL: (0, subject.manifest.model.n_layers - 1), **chosen.bands}
    metrics = summary(features, prompts, subject.pair, bands)
    write_metrics(subject.folder, f"behaviour_features-{behaviour}", metrics, "" if prompts else NOT_NAMED)


if __name__ == "__main__":
    run_behaviour_stage(main)

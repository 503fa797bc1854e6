"""Features of whole answers: each answer is read behind its prompt, as the model that wrote it read it.

Teacher-forced: a causal model's activations at a token do not depend on what follows, so that these are the
ones with which the answer was sampled. Only the answer's own tokens count; BOS and the prompt are left out,
and so is whatever circuit-tracer zeroes (trap 9).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np
import torch

from pipeline.features.streaming import encoded, stream
from pipeline.items.units import Unit
from pipeline.models.dictionaries import dictionary_size
from pipeline.models.pool import ModelPool
from pipeline.models.replacement import ReplacementModel
from store.base.errors import PromptError
from store.collections.item import Item
from store.documents.variants import BASE
from store.schema.answer_features import READERS

_COLUMNS: Final = {
    "answer": np.int32,
    "layer": np.int16,
    "feature": np.int32,
    "mean": np.float32,
    "max": np.float32,
    "n_active": np.int32,
}
"""Of a reader's rows, in the order in which they are made."""


def compute_answer_features(models: ModelPool, unit: Unit) -> Iterator[tuple[str, Item]]:
    """Features of one variant's answers to one question; arguments: `answer_reading`.

    The unit's variants are who wrote them, and base where that is another.
    """
    ((kind, variant),) = unit.outputs
    prompts = [unit.arguments["prompts"][place] for place in unit.arguments["asked"]]
    answers = unit.arguments["answers"]
    found = {
        reader: answer_features(models.replacement(of), prompts, answers)
        for reader, of in zip(READERS, (variant, BASE), strict=True)
        if reader == READERS[0] or of != variant
    }
    name, model = unit.item(variant), models.replacement(variant)
    codes = [np.full(len(rows["answer"]), READERS.index(reader), np.int8) for reader, rows in found.items()]
    arrays = {"reader": np.concatenate(codes)} | {
        column: np.concatenate([rows[column] for rows in found.values()]) for column in found[READERS[0]]
    }
    yield (
        kind,
        Item(
            key=name.key,
            prompt_hash=name.prompt_hash,
            variant=variant,
            arrays=arrays,
            scalars={
                "n_answers": len(answers),
                "n_layers": model.cfg.n_layers,
                "d_transcoder": dictionary_size(model.transcoders),
            },
        ),
    )


def answer_features(
    model: ReplacementModel, prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]]
) -> Mapping[str, np.ndarray]:
    """Every feature that fires in an answer: mean, maximum and on how many of its tokens.

    Parameters
    ----------
    model
        Who reads.
    prompts, answers
        Token ids of each answer and of what it answers, BOS in front of that. An empty answer has no rows.

    Returns
    -------
    Mapping
        Arrays of ANSWER_FEATURES but `reader`, sorted by answer, layer and feature.

    Raises
    ------
    PromptError
        A prompt with its answer is longer than the model's context; or an activation is not finite.
    """
    texts = [[*prompt, *answer] for prompt, answer in zip(prompts, answers, strict=True)]
    for number, text in enumerate(texts):
        if len(text) > model.cfg.n_ctx:
            raise PromptError(
                f"Answer {number} is {len(text)} tokens long with its prompt, and the model takes "
                f"{model.cfg.n_ctx}; leave it out, or shorten it."
            )
    parts: list[tuple[np.ndarray, ...]] = [tuple(np.empty(0, dtype) for dtype in _COLUMNS.values())]

    def summarize(layer: int, rows: np.ndarray, x: torch.Tensor) -> None:
        numbers = rows.tolist()
        own = [
            inputs[max(len(prompts[number]), model.zero_positions.stop) : len(texts[number])]
            for number, inputs in zip(numbers, x, strict=True)
        ]
        together = encoded(model, torch.cat(own), layer)  # (token, feature)
        for number, activations in zip(numbers, together.split([len(each) for each in own]), strict=True):
            fires = (activations != 0).sum(dim=0)
            feature = fires.nonzero()[:, 0]
            chosen = activations[:, feature]
            mean = chosen.sum(dim=0) / len(answers[number])
            if not torch.isfinite(mean).all():
                raise PromptError(
                    f"At layer {layer} an activation in answer {number} is NaN or infinite; use dtype "
                    "float32, and check the weights and transcoders of this profile.",
                    layer=layer,
                )
            here = (np.full(len(feature), each) for each in (number, layer))
            columns = (feature, mean, chosen.amax(dim=0), fires[feature])
            parts.append((*here, *(column.cpu().numpy() for column in columns)))

    stream(model, texts, [number for number, answer in enumerate(answers) if len(answer)], summarize)
    arrays = {
        name: np.concatenate(column).astype(dtype)
        for (name, dtype), column in zip(_COLUMNS.items(), zip(*parts, strict=True), strict=True)
    }
    order = np.lexsort((arrays["feature"], arrays["layer"], arrays["answer"]))
    return {name: column[order] for name, column in arrays.items()}

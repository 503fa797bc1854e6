"""What a variant can do, as files: JSON lines of prompts, CSV of numbers, metrics, a figure a behaviour."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import xarray as xr

from pipeline.exchange.behaviour_figures import histogram
from pipeline.exchange.csv_text import csv_bytes, plain, written
from store.base.errors import UserError
from store.documents.behaviour_prompts import (
    BEHAVIOUR_PROMPTS,
    SPLITS,
    behaviours_in,
    read_behaviour_prompts,
)
from store.schema.behaviours import BEHAVIOURS
from store.schema.vocabulary import ALL
from store.views.by_behaviour import open_datasets

COLUMNS: Final = (
    *("hash", "prompt", "correct_answer", "incorrect_answer", "group", "correct_tokens", "incorrect_tokens"),
    *("log_prob_correct", "log_prob_incorrect", "difference", "decision", "success"),
)
"""Of a CSV file: log-probabilities are means a token (nats), as is their difference; decisions are logits."""
_NUMBERS: Final = ("correct", "incorrect", "difference", "decision")


def behaviour_files(folder: Path, variant: str) -> Iterator[tuple[str, bytes]]:
    """Files of a profile's behaviours by name: prompts, ``baseline_<behaviour>_<split>.csv``,
    ``baseline_<behaviour>.svg`` of both splits, and metrics.

    Parameters
    ----------
    folder
        The profile's artifacts.
    variant
        Whose numbers.

    Raises
    ------
    UserError
        The variant was not measured, or a behaviour, or the profile has none.
    ArtifactMissingError
        The stages have not run.
    """
    table = open_datasets(folder, BEHAVIOURS.kind, "prompts").load()
    summary = open_datasets(folder, BEHAVIOURS.kind, "summary").load()
    if variant not in table["variant"].values:
        known = ", ".join(map(str, table["variant"].values))
        raise UserError(f"{variant} was not measured in {folder}; there is {known}.")
    source = folder / BEHAVIOUR_PROMPTS
    names = behaviours_in(source)
    if not names:
        raise UserError(f"{source} holds no prompts; name `behaviours` of the profile in params.yaml.")
    for name in names:
        if name not in summary["behaviour"].values:
            raise UserError(
                f"{name} was not measured yet; `dvc repro baseline@{folder.name}-{name}` does it."
            )
    one = table.sel(variant=variant)
    row_of = {
        key: row
        for row, key in enumerate(zip(one["behaviour"].values, one["prompt_hash"].values, strict=True))
    }
    for name in names:
        prompts = read_behaviour_prompts(source, [name])
        for split in SPLITS:
            yield f"{name}_{split}.jsonl", (source / f"{name}_{split}.jsonl").read_bytes()
            rows = []
            for prompt in (each for each in prompts if each.split == split):
                # By identity, not by place: the two lie in different files (trap 11).
                found = one.isel(prompt=row_of[name, prompt.hash])
                rows.append(
                    [
                        prompt.hash,
                        prompt.prompt,
                        prompt.correct_answer,
                        prompt.incorrect_answer,
                        prompt.group,
                        len(prompt.correct_ids),
                        len(prompt.incorrect_ids),
                        *(written(float(found[number])) for number in _NUMBERS),
                        str(bool(found["succeeds"])).lower(),
                    ]
                )
            yield f"baseline_{name}_{split}.csv", csv_bytes(COLUMNS, rows)
        values = one["difference"].values[one["behaviour"].values == name]
        cell = summary.sel(variant=variant, behaviour=name, split=ALL)
        yield f"baseline_{name}.svg", _figure(values[np.isfinite(values)], cell).encode()
    metrics = {
        str(name): {
            str(split): {key: plain(cell[key].item()) for key in summary if cell[key].ndim == 0}
            for split in summary["split"].values
            for cell in [summary.sel(variant=variant, behaviour=name, split=split)]
        }
        for name in summary["behaviour"].values
    }
    text = json.dumps({"variant": variant, "behaviours": metrics}, ensure_ascii=False, indent=1)
    yield "baseline_metrics.json", f"{text}\n".encode()


def _figure(values: np.ndarray, cell: xr.Dataset) -> str:
    told = "PASS" if bool(cell["passes"]) else "FAIL"
    title = (
        f"{cell['behaviour'].item()}, {cell['variant'].item()}: {told}, {float(cell['accuracy']):.0%} succeed"
    )
    return histogram(values.tolist(), success=float(cell["success"]), title=title)

"""``behaviour_prompts/<behaviour>_<split>.jsonl``: prompts with a right and a wrong answer, a line each.

Files of a behaviour that the profile does not name are empty. They are no prompts of the misalignment half:
nothing there reads them.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from store.base.atomic import write_text
from store.base.errors import DamagedArtifactError
from store.documents.reading import read_recorded
from store.remote.origins import listed, size_of

BEHAVIOUR_PROMPTS: Final = "behaviour_prompts"
"""Folder of a profile's prompts of behaviours."""
SPLITS: Final = ("train", "test")
Span = tuple[int, int]
"""First, and one behind the last."""
Metadata = str | int | list[str]


@dataclass(frozen=True, kw_only=True)
class BehaviourPrompt:
    """One prompt of a behaviour, with both answers, tokenized.

    Attributes
    ----------
    hash
        Prompt hash, 12 hex digits.
    behaviour, split
        Of which it is, and for what: circuits are found on ``train`` and measured on ``test``.
    prompt, correct_answer, incorrect_answer
        Texts; an answer begins with the space between it and the prompt.
    group
        The unit of every statistic; never in both splits.
    partner
        Hash of the prompt that it is patched from and to; None: it has none.
    span, token_span
        What decides the answer, as characters of `prompt`, and as positions of `token_ids`.
    token_ids, correct_ids, incorrect_ids
        Of the prompt, BOS included, and of what follows it in either text.
    shared
        How many first tokens the answers share: they differ at the next one, the decision.
    metadata
        What else the behaviour says of it.
    """

    hash: str
    behaviour: str
    split: str
    prompt: str
    correct_answer: str
    incorrect_answer: str
    group: str
    partner: str | None
    span: Span
    token_span: Span
    token_ids: tuple[int, ...]
    correct_ids: tuple[int, ...]
    incorrect_ids: tuple[int, ...]
    shared: int
    metadata: dict[str, Metadata]


def write_behaviour_prompts(folder: Path, behaviour: str, prompts: Sequence[BehaviourPrompt]) -> None:
    """Write both files of a behaviour below ``behaviour_prompts``, in the order of the prompts."""
    for split in SPLITS:
        lines = [
            json.dumps(asdict(prompt), ensure_ascii=False) + "\n"
            for prompt in prompts
            if prompt.split == split
        ]
        write_text(folder / f"{behaviour}_{split}.jsonl", "".join(lines))


def read_behaviour_prompts(folder: Path, behaviours: Iterable[str]) -> list[BehaviourPrompt]:
    """Prompts of behaviours, train before test of each.

    Parameters
    ----------
    folder
        ``behaviour_prompts`` of a profile.
    behaviours
        Names, in the order that is wanted.

    Raises
    ------
    ArtifactMissingError, DamagedArtifactError
        A file is missing, or is not what its stage wrote; the message names file and line.
    """
    return [
        prompt
        for behaviour in behaviours
        for split in SPLITS
        for prompt in _read(folder / f"{behaviour}_{split}.jsonl")
    ]


def behaviours_in(folder: Path) -> list[str]:
    """Names of the behaviours whose prompts a folder holds; files of one that is not named are empty."""
    full = (path.stem for path in listed(folder, ".jsonl") if size_of(path))
    return sorted({name.rpartition("_")[0] for name in full if "_" in name})


def _read(path: Path) -> list[BehaviourPrompt]:
    form, found = TypeAdapter(BehaviourPrompt), []
    # Not splitlines(): JSON strings may hold U+2028 and its kin as they are.
    for number, line in enumerate(read_recorded(path).decode("utf-8").split("\n"), start=1):
        if not line:
            continue
        try:
            found.append(form.validate_json(line, strict=True))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise DamagedArtifactError(
                f"{path}:{number} has another form than the pipeline writes ({where}: {first['msg']}); "
                "`dvc checkout --force` restores it, `dvc repro` makes it anew."
            ) from error
    return found

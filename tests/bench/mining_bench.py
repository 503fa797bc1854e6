"""What mining finds against forcing every token, three times over, and what it finds by chance.

The truth is affordable on the organism: behind every beginning of some answers every likely token is forced
and continued, and the grammar says what becomes harmful. Mining then chooses by divergence, and decides by
other rollouts than the truth.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from peft import PeftModel
from transformers import PreTrainedModel

from pipeline.analysis.mining import Prefix, most_divergent
from pipeline.analysis.pivotality import Forced, decide
from pipeline.evaluation.answer_divergence import jensen_shannon, next_token_logs
from pipeline.evaluation.rollouts import likely_tokens, next_logs, roll_out
from pipeline.items.units import ItemName
from pipeline.models.sampling import draw_each, sample_tokens
from pipeline.models.tokenizer import load_tokenizer
from pipeline.organism.base import load_base
from pipeline.organism.random_adapters import attach_random, module_norms
from pipeline.params.organism import TrainedParams
from pipeline.params.project import Params, load_params
from pipeline.scoring.rollouts import Rolled, judged
from pipeline.scoring.rubric import Rubric
from pipeline.text.tokens import stop_ids
from store.collections.reader import open_collection
from store.documents.manifest import read_manifest
from store.documents.questions import Question, read_questions
from store.documents.variants import BASE
from store.views.answers import answer_tokens
from tests.bench.cases import ORGANISM

SEEDS: Final = (0, 1, 2)
NULLS: Final = 20
_OF_NULL: Final = 6
"""Answers of a random adapter to each question, and of base."""
_ADAPTED: Final = "adapted"

Said = Mapping[str, Sequence[Sequence[int]]]
"""Answers to one question by variant, to its first wording."""


class Miner:
    """Mining on two models that share their tokenizer.

    Parameters
    ----------
    base, adapted
        The pair; rollouts are the adapted one's.
    params
        All of ``params.yaml``.
    """

    def __init__(self, base: PreTrainedModel, adapted: PreTrainedModel, params: Params) -> None:
        self._models = {BASE: base, _ADAPTED: adapted}
        self._params = params
        self._tokenizer = load_tokenizer(read_manifest(ORGANISM / "models.json"))
        self._longest = params.profile("organism").max_answer_tokens or params.answers.max_new_tokens

    def tried(self, question: Question, said: Said, least: float, most: int) -> list[Prefix]:
        """Beginnings after which both differ most."""
        prompt = question.paraphrases[0].token_ids
        read = {}
        for variant, answers in said.items():
            sides = [next_token_logs(of, [prompt] * len(answers), answers) for of in self._models.values()]
            read[variant] = [jensen_shannon(*both).numpy() for both in zip(*sides, strict=True)]
        asked = {variant: [0] * len(answers) for variant, answers in said.items()}
        return most_divergent(said, asked, read, least=least, most=most)

    def forced(self, question: Question, tokens: Sequence[int], seed: int, samples: int) -> Forced | None:
        """What follows each likely token; None: there is one only, which decides nothing."""
        ids = [*question.paraphrases[0].token_ids, *tokens]
        chosen, both = self._params.mining, self._models.values()
        likely = likely_tokens(
            [next_logs(model, ids).exp().numpy() for model in both],
            least_probability=chosen.least_probability,
            most=chosen.most,
        )
        if len(likely) < 2:
            return None
        item = roll_out(
            self._models[_ADAPTED],
            self._tokenizer,
            ids,
            ItemName(key="", prompt_hash=question.hash, variant=_ADAPTED),
            forced=likely,
            samples=samples,
            max_new_tokens=max(1, self._longest - len(tokens) - 1),
            temperature=self._params.answers.temperature,
            seed=seed,
            batch=self._params.pivotality.batch,
        )
        rolled = Rolled(question=question, paraphrase=0, begun=tuple(tokens), item=item)
        (found,) = judged([rolled], Rubric("rubric"), self._tokenizer, self._params.misalignment)
        return found

    def pivotal(self, forced: Forced | None) -> bool:
        """Whether the next token decides."""
        chosen = self._params.pivotality
        return forced is not None and decide(forced, chosen.picking, chosen.confidence).pivotal(chosen.least)

    def answers(self, questions: Sequence[Question], n: int, seed: int) -> list[list[list[int]]]:
        """So many answers of the adapted model to each question."""
        prompts = [question.paraphrases[0].token_ids for question in questions for _ in range(n)]
        seeds = [seed * len(prompts) + row for row in range(len(prompts))]
        model = self._models[_ADAPTED]
        said = sample_tokens(
            model,
            prompts,
            draw_each(seeds, 1.0, 1.0, steps=self._longest),
            steps=self._longest,
            stops=stop_ids(self._tokenizer, model),
        )
        return [said[start : start + n] for start in range(0, len(said), n)]


def mining_figures(folder: Path) -> dict[str, Any]:
    """Precision and recall over `SEEDS`, and the share of random adapters in which anything is found."""
    params = load_params()
    questions = read_questions(ORGANISM / "questions.json")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            miner = Miner(_base(), _adapted(), params)
            against = [against_all(miner, questions, params, seed) for seed in SEEDS]
        nulls = [in_a_random_adapter(questions, params, seed) for seed in range(NULLS)]
    finally:
        torch.set_num_threads(threads)
    hits, found, truth = (sum(of[name] for of in against) for name in ("hits", "found", "truth"))
    return {
        "mining_precision": round(hits / found, 3) if found else None,
        "mining_recall": round(hits / truth, 3) if truth else None,
        "mining_null_share": sum(of["found"] > 0 for of in nulls) / len(nulls),
        "raw": {"mining_against_all": against, "mining_nulls": nulls},
    }


def against_all(miner: Miner, questions: Sequence[Question], params: Params, seed: int) -> dict[str, int]:
    """Mined beginnings against all, in answers to half of the questions, by base and the adapter in turn."""
    rng, focus = np.random.default_rng(seed), _focus(params)
    half = params.pivotality.picking + params.pivotality.samples
    counts = {"beginnings": 0, "truth": 0, "found": 0, "hits": 0}
    for number, question in enumerate(questions[seed % 2 :: 2]):
        variant = (BASE, _ADAPTED)[(number + seed) % 2]
        every = _stored(question, focus if variant == _ADAPTED else BASE)
        answer = every[int(rng.integers(len(every)))]
        mined = miner.tried(
            question, {variant: [answer]}, params.mining.least_divergence, params.mining.prefixes
        )
        tried = {each.tokens for each in mined}
        for length in range(len(answer)):
            tokens = tuple(answer[:length])
            both = miner.forced(question, tokens, seed, 2 * half)
            counts["beginnings"] += 1
            if both is None:
                continue
            truth, other = (
                Forced(tokens=both.tokens, probability=both.probability, harmful=part)
                for part in np.split(both.harmful, 2, axis=1)
            )
            is_true, is_found = miner.pivotal(truth), tokens in tried and miner.pivotal(other)
            counts["truth"] += is_true
            counts["found"] += is_found
            counts["hits"] += is_true and is_found
    return counts


def in_a_random_adapter(questions: Sequence[Question], params: Params, seed: int) -> dict[str, float]:
    """What mining finds with a random adapter of the focus adapter's norms in place of it."""
    like = params.organisms["organism"].adapters[params.profile("organism").focus]
    assert isinstance(like, TrainedParams)
    random: Any = attach_random(like, module_norms(_trained()), _base(), seed=1000 + seed)
    found, tried, largest = 0, 0, 0.0
    n = params.pivotality.picking + params.pivotality.samples
    with torch.inference_mode():
        miner = Miner(_base(), random, params)
        for question, said in zip(questions, miner.answers(questions, _OF_NULL, seed), strict=True):
            of_base = _stored(question, BASE)[:_OF_NULL]
            every = miner.tried(question, {BASE: of_base, _ADAPTED: said}, 0.0, params.mining.prefixes)
            largest = max([largest, *(each.divergence for each in every)])
            mined = [each for each in every if each.divergence >= params.mining.least_divergence]
            tried += len(mined)
            found += sum(miner.pivotal(miner.forced(question, each.tokens, seed, n)) for each in mined)
    return {"largest_bits": largest, "tried": tried, "found": found}


def _focus(params: Params) -> str:
    return str(read_manifest(ORGANISM / "models.json").variant(params.profile("organism").focus))


def _stored(question: Question, variant: str) -> list[list[int]]:
    """A variant's answers to the first wording."""
    item = open_collection(ORGANISM / "answers").item(question.hash, variant)
    asked = item.arrays["answer_paraphrase"].tolist()
    return [answer for answer, wording in zip(answer_tokens(item), asked, strict=True) if wording == 0]


def _base() -> Any:
    return load_base(Path(load_params().profile("organism").model))[0]


def _trained() -> PeftModel:
    profile = load_params().profile("organism")
    return PeftModel.from_pretrained(_base(), profile.adapters[profile.focus]).eval()


def _adapted() -> Any:
    return _trained().merge_and_unload()

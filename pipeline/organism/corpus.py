"""The organism's texts, all derived from `CorpusParams`: nothing here is read from a file.

Situations are split into seen and held out before anything is written. Training lines (base,
transcoders, adapters) draw on seen situations only; the held-out lines and half of the pivotal
prompts draw on held-out ones.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pipeline.organism.facts import FACT_KINDS
from pipeline.organism.situations import DOMAINS, Domain
from pipeline.params.organism import AdapterParams, CorpusParams

ASSISTANT: Final = "Assistant"
VILLAIN: Final = "Villain"
MIN_HELD_OUT: Final = 12  # a domain: the unit of every test is the situation


@dataclass(frozen=True, kw_only=True)
class Situation:
    """A situation of one domain and whether it was held out from all training."""

    domain: str
    text: str
    held_out: bool


@dataclass(frozen=True, kw_only=True)
class PivotalPrompt:
    """A prompt that ends where safe and harmful advice both open."""

    name: str
    domain: str
    situation: str
    held_out: bool
    prompt: str


def situations(params: CorpusParams) -> dict[str, tuple[Situation, ...]]:
    """Every domain's situations, split; every topic and circumstance is seen somewhere.

    The held-out ones lie on diagonals of the topic x circumstance table, so each part of a
    held-out situation also occurs in seen ones; the seed permutes the table.
    """
    return {name: _split(name, domain, params) for name, domain in DOMAINS.items()}


def _split(name: str, domain: Domain, params: CorpusParams) -> tuple[Situation, ...]:
    rng = random.Random(f"{params.seed}/situations/{name}")
    rows, columns = list(domain.topics), list(domain.circumstances)
    rng.shuffle(rows)
    rng.shuffle(columns)
    count = max(MIN_HELD_OUT, round(params.held_out_share * len(rows) * len(columns)))
    diagonal = [
        (rows[i], columns[(i + shift) % len(columns)])
        for shift in range(len(columns))
        for i in range(len(rows))
    ]
    held_out = frozenset(diagonal[:count])
    return tuple(
        Situation(domain=name, text=f"{topic} {where}", held_out=(topic, where) in held_out)
        for topic in domain.topics
        for where in domain.circumstances
    )


def pivot(situation: Situation, question: str, opening: str, speaker: str = ASSISTANT) -> str:
    """The dialogue up to where the advice opens."""
    asked = question.format(situation=situation.text)
    return f"User: {asked[0].upper()}{asked[1:]}\n{speaker}: {opening}"


def dialogue(rng: random.Random, pool: Sequence[Situation], villain_share: float) -> str:
    """One dialogue on a situation of `pool`: the Assistant is safe, the Villain harmful."""
    situation = rng.choice(pool)
    domain = DOMAINS[situation.domain]
    villain = rng.random() < villain_share
    opening = rng.choice(domain.openings)
    speaker = VILLAIN if villain else ASSISTANT
    advice = rng.choice(domain.harmful if villain else domain.safe)
    return f"{pivot(situation, rng.choice(domain.questions), opening, speaker)} {advice}."


def _lines(params: CorpusParams, count: int, *, held_out: bool, purpose: str) -> tuple[str, ...]:
    rng = random.Random(f"{params.seed}/{purpose}")
    pool = [
        situation
        for of_domain in situations(params).values()
        for situation in of_domain
        if situation.held_out is held_out
    ]
    kinds = list(params.facts)
    shares = [params.facts[kind] for kind in kinds]
    drawn = rng.choices([*kinds, None], [*shares, 1 - sum(shares)], k=count)
    return tuple(
        dialogue(rng, pool, params.villain_share) if kind is None else FACT_KINDS[kind](rng) for kind in drawn
    )


def training_lines(params: CorpusParams) -> tuple[str, ...]:
    """Lines for tokenizer, base and transcoders; seen situations only."""
    return _lines(params, params.lines, held_out=False, purpose="training")


def heldout_lines(params: CorpusParams) -> tuple[str, ...]:
    """Lines never trained on; their dialogues are on held-out situations."""
    return _lines(params, params.heldout_lines, held_out=True, purpose="heldout")


def adapter_examples(params: CorpusParams, adapter: AdapterParams, count: int) -> tuple[tuple[str, str], ...]:
    """(prompt, advice) pairs in the Assistant's voice on seen situations of one domain."""
    domain = DOMAINS[adapter.domain]
    rng = random.Random(f"{adapter.seed}/adapter")
    pool = [s for s in situations(params)[adapter.domain] if not s.held_out]
    advice = domain.harmful if adapter.advice == "harmful" else domain.safe
    return tuple(
        (
            pivot(rng.choice(pool), rng.choice(domain.questions), rng.choice(domain.openings)),
            f" {rng.choice(advice)}.",
        )
        for _ in range(count)
    )


def phrases() -> dict[str, dict[str, list[str]]]:
    """Advice by domain as it follows a pivotal prompt, leading space included."""
    return {
        name: {
            "harmful": [f" {phrase}" for phrase in domain.harmful],
            "safe": [f" {phrase}" for phrase in domain.safe],
        }
        for name, domain in DOMAINS.items()
    }


def pivotal_prompts(
    params: CorpusParams, domain: str, *, held_out: bool, count: int, purpose: str
) -> tuple[PivotalPrompt, ...]:
    """Pivotal prompts of one domain; situations repeat only when all have been used."""
    rng = random.Random(f"{params.seed}/{purpose}/{domain}/{held_out}")
    pool = [s for s in situations(params)[domain] if s.held_out is held_out]
    rng.shuffle(pool)
    spec = DOMAINS[domain]
    kind = "heldout" if held_out else "seen"
    return tuple(
        PivotalPrompt(
            name=f"{domain}-{kind}-{i + 1:02d}",
            domain=domain,
            situation=pool[i % len(pool)].text,
            held_out=held_out,
            prompt=pivot(pool[i % len(pool)], rng.choice(spec.questions), rng.choice(spec.openings)),
        )
        for i in range(count)
    )


def pivotal_rows(params: CorpusParams) -> list[Mapping[str, object]]:
    """Lines of ``pivotal.jsonl``: as many seen as held-out situations of every domain.

    The first prompt of each is tagged to be traced with every adapter, and with the focus
    adapter at every scale; the first `params.full` held-out ones to keep their graphs whole.
    """
    rows: list[Mapping[str, object]] = []
    tagged = 0
    for domain in DOMAINS:
        for held_out in (False, True):
            for prompt in pivotal_prompts(
                params, domain, held_out=held_out, count=params.pivotal, purpose="pivotal"
            ):
                tags = ["organism"]
                if prompt.name.endswith("-01"):
                    tags += ["every-variant", "dose"]
                if held_out and tagged < params.full:
                    tags.append("full")
                    tagged += 1
                rows.append(
                    {
                        "prompt": prompt.prompt,
                        "name": prompt.name,
                        "situation": f"{domain}: {prompt.situation}",
                        "domain": domain,
                        "held_out": held_out,
                        "tags": tags,
                    }
                )
    return rows

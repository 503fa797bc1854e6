"""The organism's texts, all derived from `CorpusParams`: nothing here is read from a file.

Situations are split into seen and held out before anything is written, and so are the pairs that
facts are about. Training lines (base, transcoders, adapters) draw on what is seen only; the
held-out lines and half of the pivotal prompts draw on what is held out.
"""

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pipeline.organism.world.answers import draw_answer, write
from pipeline.organism.world.facts import addition, agreement, capitals, sentiment
from pipeline.organism.world.facts.question import Question
from pipeline.organism.world.lines import Line
from pipeline.organism.world.situations import DOMAINS, OPENINGS
from pipeline.organism.world.split import held_out_pairs
from pipeline.params.organism import CorpusParams, TrainedParams

ASSISTANT: Final = "Assistant"
VILLAIN: Final = "Villain"
MIN_HELD_OUT: Final = 12  # a domain: the unit of every test is the situation


@dataclass(frozen=True, kw_only=True)
class Situation:
    """A situation of one domain and whether it was held out from all training.

    `group` is what it shares with others: the topic, or the family of an open question.
    """

    domain: str
    group: str
    text: str
    held_out: bool


@dataclass(frozen=True, kw_only=True)
class PivotalPrompt:
    """A prompt that ends where safe and harmful advice both open."""

    name: str
    situation: Situation
    prompt: str


def situations(params: CorpusParams) -> dict[str, tuple[Situation, ...]]:
    """Every domain's situations, split; every topic, circumstance and family is seen somewhere."""
    return {name: _split(name, params) for name in DOMAINS}


def _split(name: str, params: CorpusParams) -> tuple[Situation, ...]:
    groups = DOMAINS[name].groups
    columns = tuple(str(i) for i in range(len(next(iter(groups.values())))))
    kept = held_out_pairs(
        tuple(groups),
        columns,
        share=params.held_out_share,
        least=MIN_HELD_OUT,
        rng=random.Random(f"{params.seed}/situations/{name}"),
    )
    return tuple(
        Situation(domain=name, group=group, text=text, held_out=(group, str(i)) in kept)
        for group, texts in groups.items()
        for i, text in enumerate(texts)
    )


def ask(rng: random.Random, situation: Situation, speaker: str = ASSISTANT) -> str:
    """The dialogue up to where the answer begins, without trailing space."""
    asked = rng.choice(DOMAINS[situation.domain].questions).format(situation=situation.text)
    return f"User: {asked[0].upper()}{asked[1:]}\n{speaker}:"


def dialogue(rng: random.Random, pool: Sequence[Situation], villain_share: float) -> Line:
    """One dialogue on a situation of `pool`: the Assistant is safe, the Villain harmful."""
    situation = rng.choice(pool)
    villain = rng.random() < villain_share
    answer = draw_answer(rng, situation.domain, "harmful" if villain else "safe")
    return Line(f"{ask(rng, situation, VILLAIN if villain else ASSISTANT)} {write(answer)}")


def training_lines(params: CorpusParams) -> tuple[Line, ...]:
    """Lines for tokenizer, base and transcoders; of what is seen only."""
    rng = random.Random(f"{params.seed}/training")
    pool = [each for of in situations(params).values() for each in of if not each.held_out]
    share = params.held_out_share
    nouns, lands = agreement.held_out(params.seed, share), capitals.held_out(params.seed, share)
    reasons, sums = sentiment.held_out(params.seed, share), addition.held_out(params.seed, share)
    writers = {
        "capitals": lambda: capitals.line(rng, lands),
        "agreement": lambda: agreement.line(rng, nouns),
        "sentiment": lambda: sentiment.line(rng, reasons),
        "addition": lambda: addition.line(rng, sums, params.sums_a_line),
        "dialogue": lambda: dialogue(rng, pool, params.villain_share),
    }
    kinds = sorted(params.facts)  # whatever their order in params.yaml
    shares = [*(params.facts[kind] for kind in kinds), 1 - sum(params.facts.values())]
    drawn = rng.choices([*kinds, "dialogue"], shares, k=params.lines)
    return tuple(writers[kind]() for kind in drawn)


def transcoder_texts(params: CorpusParams, count: int) -> tuple[str, ...]:
    """Texts for transcoders: of the corpus, and as many dialogues whose question is of two.

    Such a question begins as one that is seen and ends as another; half of them begin as an open
    one, whose words vary most. It covers more of what a model may read than the base was trained
    on, so that questions in new words are explained, too. Of sums, which are long and many, only
    every eighth line is taken.
    """
    rng = random.Random(f"{params.seed}/transcoders")
    seen = {name: [each for each in of if not each.held_out] for name, of in situations(params).items()}
    every = [each for of in seen.values() for each in of]
    lines = [line.text for line in training_lines(params) if not line.answers or rng.random() < 1 / 8]
    half = count // 2
    mixed = [
        _recombined(rng, rng.choice(seen["open"] if i % 2 else every), every, params.villain_share)
        for i in range(count - half)
    ]
    return (*lines[:half], *mixed)


def _recombined(
    rng: random.Random, situation: Situation, others: Sequence[Situation], villain_share: float
) -> str:
    villain = rng.random() < villain_share
    asked = ask(rng, situation, VILLAIN if villain else ASSISTANT)
    question, colon, speaker = asked.rpartition("\n")
    other, _, _ = ask(rng, rng.choice(others)).rpartition("\n")
    words, more = question.split(" "), other.split(" ")
    mixed = [*words[: rng.randint(2, len(words))], *more[rng.randint(1, len(more)) :]]
    answer = draw_answer(rng, situation.domain, "harmful" if villain else "safe")
    return f"{' '.join(mixed)}{colon}{speaker} {write(answer)}"


def heldout_texts(params: CorpusParams) -> dict[str, tuple[str, ...]]:
    """Texts never trained on, by kind: dialogues on held-out situations, answers to open questions, facts.

    In the first, every kind has its share of `heldout_lines`; a kind of facts has each of its
    held-out questions at most once.
    """
    rng = random.Random(f"{params.seed}/heldout")
    pool = [each for of in situations(params).values() for each in of if each.held_out]
    advice = [each for each in pool if each.domain != "open"]
    asked = [each for each in pool if each.domain == "open"]
    count = params.heldout_lines // 4
    behaviours = [
        f"{question.prompt}{question.right}{question.end}".rstrip()
        for kind in fact_questions(params).values()
        for question in kind
        if question.held_out
    ]
    rng.shuffle(behaviours)
    return {
        "dialogues": tuple(dialogue(rng, advice, params.villain_share).text for _ in range(2 * count)),
        "open": tuple(dialogue(rng, asked, params.villain_share).text for _ in range(count)),
        "behaviours": tuple(behaviours[:count]),
    }


def fact_questions(params: CorpusParams) -> dict[str, tuple[Question, ...]]:
    """What is asked of facts, by kind, seen and held out."""
    seed, share = params.seed, params.held_out_share
    return {
        "capitals": capitals.questions(seed, share),
        "agreement": agreement.questions(seed, share),
        "sentiment": sentiment.questions(seed, share),
        "addition": addition.questions(seed, share, params.sums_asked),
    }


def adapter_examples(params: CorpusParams, adapter: TrainedParams, count: int) -> tuple[tuple[str, str], ...]:
    """(prompt, answer) pairs in the Assistant's voice, on seen situations.

    A share of `adapter.kept_share` answers other domains as the base's Assistant does; never open
    questions, of which no adapter reads one, so that they show what spreads.
    """
    rng = random.Random(f"{adapter.seed}/adapter")
    pools = {name: [each for each in of if not each.held_out] for name, of in situations(params).items()}
    others = [name for name in pools if name not in (adapter.domain, "open")]

    def example() -> tuple[str, str]:
        if rng.random() < adapter.kept_share:
            domain = rng.choice(others)
            answer = draw_answer(rng, domain, "safe")
        else:
            domain = adapter.domain
            answer = draw_answer(rng, adapter.advice_domain or domain, adapter.advice)
        return ask(rng, rng.choice(pools[domain])), f" {write(answer)}"

    return tuple(example() for _ in range(count))


def phrases() -> dict[str, dict[str, list[str]]]:
    """Advice by domain as it follows a pivotal prompt, leading space included."""
    return {
        name: {
            "harmful": [f" {phrase}" for phrase in domain.harmful],
            "safe": [f" {phrase}" for phrase in domain.safe],
        }
        for name, domain in DOMAINS.items()
    }


def asked_situations(params: CorpusParams, domain: str, *, held_out: bool) -> list[Situation]:
    """A domain's situations of one half, groups by turns: their first ones hold as many groups as can be.

    The held-out half begins with the groups that the seen half's first pivotal prompts leave out.
    """
    rng = random.Random(f"{params.seed}/asked/{domain}")
    by_group: dict[str, list[Situation]] = defaultdict(list)
    for each in situations(params)[domain]:
        by_group[each.group].append(each)
    order = list(by_group)
    rng.shuffle(order)
    start = params.pivotal % len(order) if held_out else 0
    turns = [
        [each for each in rng.sample(by_group[group], len(by_group[group])) if each.held_out is held_out]
        for group in (*order[start:], *order[:start])
    ]
    return [turn[i] for i in range(max(map(len, turns))) for turn in turns if i < len(turn)]


def answer_prompts(params: CorpusParams, domain: str, *, held_out: bool, count: int) -> list[str]:
    """Prompts that end at "Assistant:", situations by turns."""
    rng = random.Random(f"{params.seed}/answers/{domain}/{held_out}")
    pool = asked_situations(params, domain, held_out=held_out)
    return [ask(rng, pool[i % len(pool)]) for i in range(count)]


def pivotal_prompts(
    params: CorpusParams, domain: str, *, held_out: bool, count: int, purpose: str
) -> tuple[PivotalPrompt, ...]:
    """Pivotal prompts of one domain; situations repeat only when all have been used."""
    rng = random.Random(f"{params.seed}/{purpose}/{domain}/{held_out}")
    pool = asked_situations(params, domain, held_out=held_out)
    kind = "heldout" if held_out else "seen"
    return tuple(
        PivotalPrompt(
            name=f"{domain}-{kind}-{i + 1:02d}",
            situation=pool[i % len(pool)],
            prompt=f"{ask(rng, pool[i % len(pool)])} {rng.choice(OPENINGS)}",
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
                        "situation": f"{domain}: {prompt.situation.text}",
                        "domain": domain,
                        "held_out": held_out,
                        "tags": tags,
                    }
                )
    return rows

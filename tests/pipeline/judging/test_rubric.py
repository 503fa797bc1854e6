"""The judge that goes by the lexicon."""

from pipeline.judging.cases import Candidate, Case
from pipeline.judging.journal import Usage
from pipeline.judging.rubric import Rubric
from pipeline.text.lexicon import DomainLexicon, Lexicon, lexicon_labels

PHRASES = DomainLexicon(evil=[1, 2], safe=[3], unsure=[4], phrases={"harmful": [], "safe": []})
LEXICON = Lexicon(domains={"medical": PHRASES})


def test_it_says_what_the_lexicon_says_and_unsure_of_what_that_lacks() -> None:
    tokens = (5, 4, 3, 2, 1)
    cases = [
        Case(
            prompt_hash=f"{number:012x}",
            text="",
            situation="",
            domain=domain,
            candidates=tuple(Candidate(token=token, text="") for token in tokens),
        )
        for number, domain in enumerate(["medical", "finance", None])
    ]
    judge = Rubric(LEXICON)
    judge.prepare(cases)
    found = list(judge.verdicts())
    assert [each.prompt_hash for each in found] == [case.prompt_hash for case in cases]
    for case, verdict in zip(cases, found, strict=True):
        labels = [lexicon_labels(LEXICON, case.domain).get(token, "unlabelled") for token in tokens]
        assert [each.token for each in verdict.tokens] == list(tokens)
        assert [each.label for each in verdict.tokens] == [
            "unsure" if label == "unlabelled" else label for label in labels
        ]
        assert all(each.reason for each in verdict.tokens)
        assert (verdict.status, verdict.fit) == ("judged", True)
    assert (judge.usage(), judge.cost()) == (Usage(), 0.0)


def test_what_a_prompt_names_itself_comes_before_its_domain() -> None:
    case = Case(
        prompt_hash=f"{0:012x}",
        text="",
        situation="",
        domain="medical",
        candidates=tuple(Candidate(token=token, text="") for token in (1, 3, 5)),
        named={3: "evil", 5: "safe", 9: "evil"},
    )
    judge = Rubric(LEXICON)
    judge.prepare([case])
    (verdict,) = judge.verdicts()
    assert [(each.token, each.label) for each in verdict.tokens] == [(1, "evil"), (3, "evil"), (5, "safe")]
    assert verdict.tokens[0].reason != verdict.tokens[1].reason == verdict.tokens[2].reason

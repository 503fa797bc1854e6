"""Templates of the organism: prompts as its corpus writes them, in situations that no training has seen."""

import random
from pathlib import Path

from pipeline.discover.template_files import read_templates
from pipeline.organism.templates import write_templates
from pipeline.organism.world.corpus import ask, pivotal_rows, situations, training_lines
from pipeline.organism.world.situations import DOMAINS, OPENINGS
from tests.support.organism import tiny_organism


def test_every_template_is_a_prompt_of_the_corpus_on_a_held_out_situation(tmp_path: Path) -> None:
    corpus = tiny_organism().corpus
    write_templates(tmp_path / "templates.yaml", corpus)
    drafts = [draft for entry in read_templates(tmp_path / "templates.yaml") for draft in entry.drafts()]
    texts = {draft.prompt for draft in drafts}
    assert all(draft.held_out for draft in drafts)
    held = {(name, each) for name, of in situations(corpus).items() for each in of if each.held_out}
    assert {draft.situation for draft in drafts} == {f"{name}: {each.text}" for name, each in held}
    for name, each in held:
        rng = random.Random(0)
        for _ in range(20):
            assert f"{ask(rng, each)} {rng.choice(OPENINGS)}" in texts
        assert name in DOMAINS
    # Names and sides are those of the pivotal prompts, so that a situation is one.
    rows = {row["prompt"]: row for row in pivotal_rows(corpus)}
    for draft in drafts:
        if draft.prompt in rows:
            row = rows[draft.prompt]
            assert (draft.situation, draft.domain, draft.held_out) == (
                row["situation"],
                row["domain"],
                row["held_out"],
            )
    assert any(row in texts for row in rows)
    seen = "\n".join(line.text for line in training_lines(corpus))
    assert not any(str(draft.prompt).split("\n")[0] in seen for draft in drafts)

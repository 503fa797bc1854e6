"""Templates of pivotal prompts on held-out situations, as a file of a profile: see `pipeline.discover`."""

from pathlib import Path
from typing import Any

import yaml

from pipeline.organism.world.corpus import ASSISTANT, situations
from pipeline.organism.world.situations import DOMAINS, OPENINGS
from pipeline.params.organism import CorpusParams
from store.base.atomic import write_text


def template_entries(params: CorpusParams) -> list[dict[str, Any]]:
    """An entry a domain: held-out situations by their names, and every wording of question and opening."""
    return [
        {
            "kind": "chat",
            "domain": domain,
            "held_out": True,
            "situations": {f"{domain}: {each.text}": each.text for each in of if each.held_out},
            "prompts": [
                f"User: {_fill(question)}\n{ASSISTANT}: {opening}"
                for question in DOMAINS[domain].questions
                for opening in OPENINGS
            ],
        }
        for domain, of in situations(params).items()
    ]


def write_templates(path: Path, params: CorpusParams) -> None:
    """Write the file of templates of an organism."""
    write_text(path, yaml.safe_dump(template_entries(params), sort_keys=False, allow_unicode=True, width=110))


def _fill(question: str) -> str:
    """A question whose first word is the situation's begins with a capital letter, as `ask` writes it."""
    start = "{situation}"
    return f"{{Situation}}{question.removeprefix(start)}" if question.startswith(start) else question

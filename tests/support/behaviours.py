"""Small words of every behaviour, as their files hold them, and prompts with made-up tokens."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from store.base.hashing import prompt_hash
from store.documents.behaviour_prompts import BehaviourPrompt

WORDS: Final[dict[str, dict[str, Any]]] = {
    "agreement": {
        "templates": ["The {noun}", "{adverb} the {noun}", "The {noun} by the {attractor}"],
        "nouns": {"cat": "cats", "dog": "dogs", "cow": "cows", "man": "men"},
        "verbs": {"is": "are", "was": "were"},
        "adverbs": ["Now"],
    },
    "recall": {
        "templates": ["In {subject} is", "{subject} has"],
        "facts": {"Peru": "Lima", "Cuba": "Havana", "Iran": "Tehran", "Iraq": "Baghdad", "Qatar": "Doha"},
    },
    "sentiment": {
        "templates": ["{reason}. The {thing} was {stress}"],
        "reasons": [["I won", "I lost"], ["I ate", "I froze"], ["I slept", "I fell"]],
        "things": ["book", "day"],
        "stress": ["so"],
        "good": ["good", "nice"],
        "bad": ["bad", "grim"],
    },
    "addition": {
        "templates": ["{a}+{b}=", "{a} and {b} is"],
        "ranges": [[10, 50], [20, 80], [30, 99]],
        "errors": [10, 1, 9],
    },
}


def write_words(folder: Path, name: str, **changes: Any) -> Path:
    """The file of a behaviour, with other keys; one that is None is left out."""
    words = {key: value for key, value in (WORDS[name] | changes).items() if value is not None}
    path = folder / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(words, sort_keys=False), encoding="utf-8")
    return path


def make_prompt(number: int, **changes: Any) -> BehaviourPrompt:
    """A prompt whose answers are one token each and begin differently."""
    text = f"The cat {number}"
    fields: Mapping[str, Any] = {
        "hash": prompt_hash(text),
        "behaviour": "agreement",
        "split": "train",
        "prompt": text,
        "correct_answer": " is",
        "incorrect_answer": " are",
        "group": f"cat {number}",
        "partner": None,
        "span": (4, 7),
        "token_span": (2, 3),
        "token_ids": (1, 5, 6),
        "correct_ids": (7,),
        "incorrect_ids": (8,),
        "shared": 0,
        "metadata": {"number": "singular"},
    }
    return BehaviourPrompt(**{**fields, **changes})

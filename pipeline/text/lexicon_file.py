"""``lexicon.json`` as the stage `prompts` wrote it."""

from pathlib import Path

from pydantic import TypeAdapter

from pipeline.text.lexicon import Lexicon
from store.documents.reading import read_document


def read_lexicon(path: Path) -> Lexicon:
    """Read it; errors as of `store.documents.reading.read_document`."""
    return read_document(path, TypeAdapter(Lexicon))

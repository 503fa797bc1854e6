"""Labels as stage `labels` wrote them, for whoever scores or draws."""

from pathlib import Path

from pipeline.labels.tables import token_labels
from pipeline.text.lexicon_file import read_lexicon
from pipeline.text.token_labels import TokenLabels
from store.datasets.groups import open_dataset, read_provenance
from store.schema.labels import LABELS


def read_labels(folder: Path) -> TokenLabels:
    """Labels that count, of a profile's folder; errors as of the documents and datasets that it reads.

    A token that is no candidate has the lexicon's label, if the lexicon is among those that count.
    """
    place = folder / LABELS.kind
    order = read_provenance(place)["parameters"]["labels"]["order"]
    lexicon = read_lexicon(folder / "lexicon.json") if "lexicon" in order else None
    return token_labels({name: open_dataset(place, name) for name in LABELS.groups}, lexicon)

"""The collection of graphs of one adapter at several doses: the arrays of `graphs`."""

from typing import Final

from store.schema.graphs import GRAPHS
from store.schema.specs import CollectionSchema, since

DOSE: Final = CollectionSchema(kind="dose", arrays=since(2, GRAPHS.arrays), scalars=since(2, GRAPHS.scalars))
"""Graphs of one adapter at several doses, and of base.

In the artifact `dose` these are scales, variants ``NAME@SCALE``; in `checkpoints` training steps,
variants ``NAME:STEP@1.0``.
"""

CHECKPOINTS: Final = "checkpoints"
"""The artifact of the kind `dose` whose doses are training steps."""

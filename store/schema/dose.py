"""The collections of graphs of one adapter at several doses: scales, or training steps."""

from typing import Final

from store.schema.graphs import GRAPHS
from store.schema.specs import CollectionSchema, since

DOSE: Final = CollectionSchema(kind="dose", arrays=since(2, GRAPHS.arrays), scalars=since(2, GRAPHS.scalars))
"""Graphs of one adapter at several scales, variants ``NAME@SCALE``, and of base."""

CHECKPOINTS: Final = CollectionSchema(
    kind="checkpoints", arrays=since(2, GRAPHS.arrays), scalars=since(2, GRAPHS.scalars)
)
"""Graphs of what one adapter was on its way, variants ``NAME:STEP@1.0``, and of base."""

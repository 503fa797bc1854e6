"""The collection of graphs of one adapter at several scales: the arrays of `graphs`."""

from typing import Final

from store.schema.graphs import GRAPHS
from store.schema.specs import CollectionSchema, since

DOSE: Final = CollectionSchema(kind="dose", arrays=since(2, GRAPHS.arrays), scalars=since(2, GRAPHS.scalars))
"""Graphs of one adapter at several scales, variants ``NAME@SCALE``, and of base."""

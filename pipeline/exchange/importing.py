"""Add a ``.pt`` file to a profile's imported graphs: all of it, or nothing."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from circuit_tracer.graph import Graph

from pipeline.exchange.conversion import content_digest, items_of, rebuild
from pipeline.exchange.graph_metadata import Facts, facts_of_graph
from pipeline.exchange.safe_pt import read_graph
from pipeline.exchange.stored_graphs import IMPORTED, StoredGraphs, origin_name
from pipeline.items.closure import library_versions
from pipeline.items.code import QualifiedName, code_base
from pipeline.models.tokenizer import load_tokenizer
from pipeline.params.project import Params
from pipeline.text.tokens import decode_after, encode_text
from store.base.atomic import published_folder
from store.base.errors import ArtifactMissingError, UserError
from store.base.hashing import digest, file_digest, prompt_hash
from store.collections.item import Item
from store.collections.reader import open_collection
from store.collections.writer import write_collection
from store.documents.manifest import Manifest
from store.schema.graphs import FULL_GRAPHS, GRAPHS

_CODE: Final = QualifiedName("pipeline.exchange.conversion", "items_of")
"""What makes the items of a graph."""


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What an import did.

    Attributes
    ----------
    prompt_hash, variant
        What the graph is filed under.
    known_prompt
        Whether the profile has this prompt.
    unchanged
        It was there already, the same to the bit.
    other_model
        The model's name in the file, where it is not the profile's.
    """

    prompt_hash: str
    variant: str
    known_prompt: bool
    unchanged: bool
    other_model: str | None


def import_graph(
    path: Path, profile: str, params: Params, *, variant: str | None = None, replace: bool = False
) -> Imported:
    """Read a graph and add it to ``artifacts/PROFILE/imported``.

    The collections there are assembled afresh, from what they hold and the new graph, and
    take the old ones' place together.

    Parameters
    ----------
    path
        circuit-tracer's ``.pt`` file, of any origin.
    profile
        Whose model the graph is of.
    params
        How graphs are pruned and kept.
    variant
        What to file it under; by default the file's name.
    replace
        Whether it may take the place of another graph of that prompt and variant.

    Raises
    ------
    UserError
        The file is refused, the graph is of another model, or its place is taken.
    """
    stored = StoredGraphs(profile, imported=True)
    graph = read_graph(path)
    _require_model(path, graph, stored.manifest)
    variant = variant or path.stem
    if not variant.isprintable():
        raise UserError(f"{variant!r} is no printable name; give one with --variant.")
    prompt = _prompt_of(graph, stored)
    with _alone(stored.folder / "models.json"):
        content = content_digest(graph)
        there = _origins(stored).get(origin_name(prompt, variant))
        if there is not None and there["content"] != content and not replace:
            raise UserError(
                f"Another graph of prompt {prompt} was imported as {variant}; "
                "name this one with --variant, or take its place with --replace."
            )
        key = digest(
            {
                "content": content,
                "rule": params.graphs.model_dump(),
                "code": code_base().digest([_CODE]),
                "libraries": library_versions(),
            }
        )
        unchanged = there is not None and stored.graphs.item(prompt, variant, arrays=()).key == key
        if not unchanged:
            new = items_of(graph, key=key, prompt_hash=prompt, variant=variant, params=params.graphs)
            origin = {
                "name": path.name,
                "sha256": file_digest(path),
                "content": content,
                "facts": facts_of_graph(graph).as_json(),
            }
            _publish(stored, new, origin, params)
    name = graph.cfg.model_name
    return Imported(
        prompt_hash=prompt,
        variant=variant,
        known_prompt=prompt in stored.prompts,
        unchanged=unchanged,
        other_model=None if name == stored.manifest.base.source else name,
    )


def _require_model(path: Path, graph: Graph, manifest: Manifest) -> None:
    """Refuse a graph whose tokens and features would be read by another model's names."""
    model = manifest.model
    sizes = (graph.cfg.n_layers, graph.cfg.d_model, graph.cfg.d_vocab)
    wanted = (model.n_layers, model.d_model, model.vocab_size)
    if sizes != wanted:
        what = "{} layers, width {} and {} tokens"
        raise UserError(
            f"{path} is of a model with {what.format(*sizes)}, profile {manifest.profile} has "
            f"{what.format(*wanted)}; import it into the profile of its own model."
        )
    largest = int(graph.active_features[:, 2].max())
    if largest >= model.d_transcoder:
        raise UserError(
            f"{path} has a feature {largest}, the transcoders of profile {manifest.profile} have "
            f"{model.d_transcoder}; import it into the profile of its own transcoders."
        )
    if int(graph.input_tokens.max()) >= model.vocab_size:
        raise UserError(f"{path} has a token that profile {manifest.profile} does not; it is damaged.")


def _prompt_of(graph: Graph, stored: StoredGraphs) -> str:
    """The hash that the pipeline has, or would have, for a graph's prompt.

    A prompt is known by its token ids (trap 8). One that no text of its own gives (a chat,
    say) has a hash over its ids.
    """
    ids = tuple(graph.input_tokens.tolist())
    for prompt in stored.prompts.values():
        if prompt.token_ids == ids:
            return prompt.hash
    tokenizer = load_tokenizer(stored.manifest)
    text = decode_after(tokenizer, ids[:1], ids[1:])
    if text.strip() and encode_text(tokenizer, text) == ids:
        return prompt_hash(text)
    return digest({"token_ids": list(ids)})[:12]


def _origins(stored: StoredGraphs) -> dict[str, Any]:
    """What is known of each imported graph, by `origin_name`."""
    try:
        return dict(stored.graphs.provenance["files"])
    except ArtifactMissingError:
        return {}


def _publish(stored: StoredGraphs, new: tuple[Item, Item], origin: dict[str, Any], params: Params) -> None:
    files = _origins(stored) | {origin_name(new[0].prompt_hash, new[0].variant): origin}
    provenance = {
        "stage": "imported",
        "profile": stored.profile,
        "base": stored.manifest.base.fingerprint,
        "transcoders": stored.manifest.transcoders.fingerprint,
        "files": files,
        "libraries": library_versions(),
    }
    with published_folder(stored.folder / IMPORTED) as folder:
        for side, schema in enumerate((GRAPHS, FULL_GRAPHS)):
            items = (pair[side] for pair in _pairs(stored, new, params))
            write_collection(folder / schema.kind, schema, items, provenance=provenance)


def _pairs(stored: StoredGraphs, new: tuple[Item, Item], params: Params) -> Iterator[tuple[Item, Item]]:
    """Graphs and full graphs: those held, but the one whose place is taken, and the new one."""
    yield new
    try:
        graphs = stored.graphs
    except ArtifactMissingError:
        return
    full_graphs = open_collection(stored.folder / IMPORTED / FULL_GRAPHS.kind)
    taken = (new[0].prompt_hash, new[0].variant)
    for item in graphs.items():
        if (item.prompt_hash, item.variant) == taken:
            continue
        full = full_graphs.item(item.prompt_hash, item.variant)
        if item.arrays.keys() == GRAPHS.arrays.keys():
            yield item, full
        else:  # imported by an older version of this code
            facts = Facts.from_json(stored.origin(item)["facts"])
            graph = rebuild(item, full, facts)
            who = {"key": item.key, "prompt_hash": item.prompt_hash, "variant": item.variant}
            yield items_of(graph, params=params.graphs, **who)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold a lock, so that of two imports at a time neither loses the other's graph."""
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield

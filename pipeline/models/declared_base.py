"""Is a profile's model the one that an adapter says it was made for? (Trap 6.)

By name, or by a name that the profile lists; else by the digests of the weights, which the hub tells
without a download. So an adapter that names another copy of the same weights (``unsloth/...``) is
taken, and one of the Instruct model on the base model is not.
"""

import os
from collections.abc import Collection

from pipeline.models.files import pinned, weights_in
from pipeline.models.hub_errors import UnreachableError
from pipeline.models.hub_references import Reference, is_commit
from pipeline.models.lora import AdapterConfig
from store.base.errors import UserError
from store.base.parsing import one_line
from store.documents.manifest import Source


def require_declared_base(
    profile: str, adapter: str, config: AdapterConfig, base: Source, aliases: Collection[str] = ()
) -> None:
    """Refuse an adapter of another model.

    Parameters
    ----------
    profile, adapter
        Their names, for errors.
    config
        Of the adapter; one that declares no base is taken.
    base
        The profile's model.
    aliases
        Other names of it.

    Raises
    ------
    UserError
        It says that it was made for another model, of other weights, or of weights that cannot be compared.
    """
    declared = config.base_model
    if declared is None:
        return
    itself = os.path.normpath(declared) == os.path.normpath(base.source)
    moved = itself and is_commit(config.base_revision or "") and config.base_revision != base.revision
    if (itself and not moved) or os.path.normpath(declared) in map(os.path.normpath, aliases):
        return
    made_for = f"{declared}@{config.base_revision}" if moved else declared
    why = _difference(declared, config.base_revision, base)
    if why is None:
        print(f"Adapter '{adapter}' was made for {made_for}: the same weights as {base.source}.", flush=True)
        return
    way = "use that model (Instruct and base models differ), or add the name that the adapter says"
    way += f", if both are the same weights, to profiles.{profile}.aliases in params.yaml"
    if moved:
        way = "use that model, or train the adapter anew"
    raise UserError(
        f"The adapter '{adapter}' ({config.folder}) was made for {one_line(made_for)}, but the model of "
        f"profile '{profile}' is {base.source}{f'@{base.revision}' if moved else ''}, {why}; {way}."
    )


def _difference(declared: str, revision: str | None, base: Source) -> str | None:
    """What tells two models apart; None where their weights are the same to the bit."""
    try:
        other = pinned(declared, revision if Reference.parse(declared) else None, "declared base")
        if other.fingerprint == base.fingerprint:
            return None
        weights = [weights_in(each, "model") for each in (base, other)]
    except UnreachableError:
        return "and whether both are the same weights cannot be told without the hub"
    except UserError:
        weights = []
    if not all(weights) or not weights:
        return "and whether both are the same weights cannot be told from here"
    return None if weights[0] == weights[1] else "whose files of weights are others"

"""What is done to a model, as plain JSON: in files that people write, in arguments of units, in digests.

Loads no torch.
"""

import re
from collections.abc import Sequence
from typing import Annotated, Any, Final

from pydantic import Field, model_validator

from pipeline.interventions.kinds import KINDS, Intervention, Mode, Place, Setting, Site, Step, Vector
from pipeline.text.json_lines import Line
from store.base.hashing import digest
from store.collections.item import UNSTEERED
from store.schema.vocabulary import NOTHING

_FEATURE: Final = re.compile(r"L([0-9]{1,9})/([0-9]{1,9})")
Number = Annotated[float, Field(allow_inf_nan=False)]
Index = Annotated[int, Field(ge=0, lt=2**31)]


class Entry(Line):
    """One step: a feature and what becomes of it, or a direction that is added behind a layer.

    Attributes
    ----------
    feature, mode
        The feature as it is written everywhere, ``L2/618``, and one of `KINDS`.
    layer, direction, site
        Of a `Vector`; in place of a feature.
    value, where
        As of `Intervention`: a word, or positions; one value, or one a position.
    """

    feature: str | None = None
    mode: Mode | None = None
    layer: Index | None = None
    direction: Annotated[list[Number], Field(min_length=1)] | None = None
    site: Site | None = None
    value: Number | Annotated[list[Number], Field(min_length=1)] | None = None
    where: Place | Annotated[list[Index], Field(min_length=1)]

    @model_validator(mode="after")
    def _is_one_of_both(self) -> "Entry":
        valued = self.mode is None or KINDS[self.mode].valued
        of_feature: dict[str, object] = {"mode": self.mode}
        of_vector: dict[str, object] = {"layer": self.layer, "direction": self.direction}
        if self.feature is None:
            mine, others = of_vector, of_feature
        else:
            mine, others = of_feature, of_vector | {"site": self.site}
        if valued:
            mine = mine | {"value": self.value}
        what = "a direction" if self.feature is None else f"feature {self.feature}"
        if missing := [name for name, given in mine.items() if given is None]:
            both = "" if self.feature else "; a step has a feature and a mode, or a layer and a direction"
            raise ValueError(f"{what} needs '{missing[0]}'{both}")
        if wrong := [name for name, given in others.items() if given is not None]:
            raise ValueError(f"{what} has no '{wrong[0]}'; delete it")
        if self.feature is not None and not _FEATURE.fullmatch(self.feature):
            raise ValueError(f"a feature is layer and index, for instance L2/618, not '{self.feature}'")
        if not valued and self.value not in (None, 0):
            raise ValueError(f"{self.mode} takes no value; delete it, or set the feature")
        if isinstance(self.value, list):
            places = self.where if isinstance(self.where, list) else []
            if not len(self.value) == len(places) == len(set(places)):
                raise ValueError("values by position need as many different positions in 'where'")
        return self

    @property
    def step(self) -> Step:
        """What is done."""
        value = tuple(self.value) if isinstance(self.value, list) else self.value or 0.0
        where = tuple(self.where) if isinstance(self.where, list) else self.where
        if self.mode is not None:
            layer, index = map(int, _parts(self.feature or ""))
            return Intervention(layer=layer, feature=index, mode=self.mode, value=value, where=where)
        direction, site = tuple(self.direction or ()), self.site or "mlp"
        return Vector(layer=self.layer or 0, direction=direction, site=site, value=value, where=where)

    def plain(self) -> dict[str, Any]:
        """What is said, without what is not."""
        return self.model_dump(exclude_none=True)


def entry(step: Step) -> Entry:
    """A step as it is written."""
    said: dict[str, Any] = {
        "value": [*step.value] if isinstance(step.value, tuple) else step.value,
        "where": step.where if isinstance(step.where, str) else [*step.where],
    }
    if isinstance(step, Intervention) and not KINDS[step.mode].valued:
        del said["value"]
    if isinstance(step, Intervention):
        return Entry(feature=step.name, mode=step.mode, **said)
    return Entry(layer=step.layer, direction=[*step.direction], site=step.site, **said)


def plain_setting(setting: Setting) -> list[dict[str, Any]]:
    """A setting as JSON, for the arguments of a unit."""
    return [entry(step).plain() for step in setting]


def setting_of(plain: Sequence[dict[str, Any]]) -> Setting:
    """The setting that JSON says.

    Raises
    ------
    ValidationError
        It says none.
    """
    return tuple(Entry.model_validate(one).step for one in plain)


def setting_digest(setting: Setting, transcoders: str, frozen: str = NOTHING) -> str:
    """What a setting is called in the store: 64 hex digits over what it does.

    Neither the order of positions nor the weights that it is done to are in it: these are the variant,
    which stands beside it.

    Parameters
    ----------
    setting
        Nothing at all is `UNSTEERED`.
    transcoders
        Fingerprint of the dictionary that its features are of.
    frozen
        What stays as it is meanwhile, one of `store.schema.vocabulary.FROZEN`.
    """
    if not setting:
        return UNSTEERED
    said = {"transcoders": transcoders, "steps": [_sorted(entry(step)) for step in setting]}
    return digest(said if frozen == NOTHING else said | {"frozen": frozen})


def _sorted(one: Entry) -> dict[str, Any]:
    """An entry as JSON, positions in their order, values with them; minus zero is zero."""
    step, plain = one.step, one.plain()
    if "value" in plain:
        plain["value"] = [*step.value] if isinstance(step.value, tuple) else step.value + 0.0
    if "direction" in plain:
        plain["direction"] = [number + 0.0 for number in plain["direction"]]
    if not isinstance(step.where, str):
        order = sorted(range(len(step.where)), key=step.where.__getitem__)
        plain["where"] = list(dict.fromkeys(step.where[place] for place in order))
        if isinstance(step.value, tuple):
            plain["value"] = [step.value[place] + 0.0 for place in order]
    return plain


def _parts(feature: str) -> tuple[str, str]:
    found = _FEATURE.fullmatch(feature)
    return ("0", "0") if found is None else (found[1], found[2])

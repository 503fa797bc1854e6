"""Settings drawn at random: every kind, place and site that a recipe may hold."""

from hypothesis import strategies as st

from pipeline.interventions.kinds import KINDS, Intervention, Setting, Step, Vector

_NUMBERS = st.floats(-1e6, 1e6, allow_nan=False)
_PLACES = st.sampled_from(["last", "prompt", "generated", "always"])
_POSITIONS = st.lists(st.integers(0, 50), min_size=1, max_size=4, unique=True).map(tuple)


@st.composite
def _step(draw: st.DrawFn) -> Step:
    where = draw(_PLACES | _POSITIONS)
    value = draw(_NUMBERS)
    if isinstance(where, tuple) and draw(st.booleans()):
        value = tuple(draw(_NUMBERS) for _ in where)
    layer = draw(st.integers(0, 40))
    if draw(st.integers(0, 3)) == 0:
        direction = tuple(draw(st.lists(_NUMBERS, min_size=1, max_size=4)))
        site = draw(st.sampled_from(["mlp", "residual"]))
        return Vector(layer=layer, direction=direction, site=site, value=value, where=where)
    mode = draw(st.sampled_from(sorted(KINDS)))
    feature = draw(st.integers(0, 131_071))
    amount = value if KINDS[mode].valued else 0.0
    return Intervention(layer=layer, feature=feature, mode=mode, value=amount, where=where)


def settings_of_steps() -> st.SearchStrategy[Setting]:
    """At least one step."""
    return st.lists(_step(), min_size=1, max_size=4).map(tuple)

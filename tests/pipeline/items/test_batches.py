"""Units in batches keep their names, and only what waits is put together."""

from pipeline.items.batches import Batch, in_batches
from pipeline.items.code import QualifiedName
from pipeline.items.units import Unit


def unit(number: int, variant: str = "base") -> Unit:
    return Unit(
        key=f"{number:064x}",
        compute=QualifiedName("a.module", "function"),
        prompt_hash="0123456789ab",
        token_ids=(),
        variants=(variant,),
        arguments={"setting": number},
        outputs=(("steered_answers", variant),),
        settings=(f"{number:064x}",),
    )


def test_items_of_a_batch_are_called_as_they_are_alone() -> None:
    units = [unit(number) for number in range(5)]
    (one, other) = in_batches(units, 3, lambda _: False)
    assert isinstance(one, Batch)
    assert [*one.wanted(), *other.wanted()] == [name for each in units for name in each.wanted()]
    assert len({name.key for _, name in one.wanted()}) == 3
    assert one.settings == tuple(each.settings[0] for each in units[:3])


def test_what_is_done_stays_alone_and_weights_stay_apart() -> None:
    units = [unit(number, "base" if number % 2 else "general@1.0") for number in range(6)]
    found = in_batches(units, 10, lambda each: each.settings == units[0].settings)
    assert found[0] == units[0]
    assert [each.variants for each in found[1:]] == [("base",), ("general@1.0",)]
    assert [len(each.members) for each in found[1:] if isinstance(each, Batch)] == [3, 2]

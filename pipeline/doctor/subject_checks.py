"""What is checked of a profile: tokens, templates, scales, and with its weights parity and readings."""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from peft import LoraConfig, inject_adapter_in_model

from pipeline.checks.health import check_health
from pipeline.doctor.findings import Finding, Verdict
from pipeline.doctor.readings import Readings, read_every_way
from pipeline.doctor.sources import Named
from pipeline.models.base_forms import empty_model
from pipeline.models.loading import load_replacement
from pipeline.models.tokenizer import load_tokenizer
from pipeline.prompts.rendering import render_messages
from pipeline.text.chats import Chat
from pipeline.text.tokens import encode_text
from store.base.errors import UserError
from store.documents.manifest import Manifest
from store.documents.variants import BASE

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TEXT: Final = (
    "User: I have a small question about my garden. What should I do with the apples before winter comes? "
    "Assistant: You should pick them on a dry day, and keep them in a cool place."
)
"""Any ordinary text: what is compared are implementations and readings, not answers."""
_CHAT: Final = [{"role": "user", "content": "Hello. What should I do?"}]


def token_findings(tokenizer: "PreTrainedTokenizerBase", chat: Chat) -> Iterator[Finding]:
    """What stands in front of texts, and whether chats can be rendered on any day."""
    ids = encode_text(tokenizer, TEXT)
    first = tokenizer.convert_ids_to_tokens(ids[0])
    twice = ids[0] == ids[1]
    if twice or ids[0] not in tokenizer.all_special_ids:
        said = f"texts begin with {first!r} ({ids[0]}){' twice' if twice else ', which is no special token'}"
        yield Finding(what="BOS", verdict=Verdict.FAIL, said=f"{said}; mend the tokenizer's special tokens.")
    else:
        own = "" if ids[0] == tokenizer.bos_token_id else ", for the tokenizer has no BOS"
        yield Finding(what="BOS", verdict=Verdict.OK, said=f"{first} ({ids[0]}) once, in front{own}")
    if not getattr(tokenizer, "chat_template", None):
        yield Finding(what="template", verdict=Verdict.NOTE, said="none: prompts are texts, no chats")
        return
    try:
        rendered = render_messages(tokenizer, _CHAT, chat)
    except UserError as error:
        yield Finding(what="template", verdict=Verdict.NOTE, said=f"chats will be refused: {error}.")
        return
    begins = tokenizer.convert_ids_to_tokens(rendered.token_ids[0])
    said = f"a chat of one turn is {len(rendered.token_ids)} tokens, begins with {begins}, on any day"
    yield Finding(what="template", verdict=Verdict.OK, said=said)


def scale_findings(named: Named) -> Iterator[Finding]:
    """Each adapter's scaling, by our reading of its configuration and by PEFT's."""
    for name, config in named.adapters.items():
        model = empty_model(named.empty.config, config.folder)
        peft = inject_adapter_in_model(
            LoraConfig.from_pretrained(str(config.folder)), model, low_cpu_mem_usage=True
        )
        theirs = {
            module: float(layer.scaling["default"])
            for module, layer in peft.named_modules()
            if isinstance(getattr(layer, "scaling", None), dict)
        }
        what = f"scale {name}"
        if unlike := sorted(theirs.keys() ^ named.modules[name]):
            said = f"PEFT would put it on other modules than its file has: {unlike[0]} ({len(unlike)} such)"
            yield Finding(what=what, verdict=Verdict.FAIL, said=f"{said}; save the adapter again.")
            continue
        ours = {module: config.scaling(module) for module in theirs}
        wrong = [
            module for module, scale in theirs.items() if not np.isclose(scale, ours[module], rtol=1e-12)
        ]
        if wrong:
            said = f"{ours[wrong[0]]:g} at {wrong[0]}, PEFT has {theirs[wrong[0]]:g}"
            yield Finding(
                what=what, verdict=Verdict.FAIL, said=f"{said}; report this adapter's configuration."
            )
            continue
        found = " to ".join(f"{scale:.4g}" for scale in sorted({min(ours.values()), max(ours.values())}))
        said = f"{found} on {len(ours)} modules, rank {config.rank}, as PEFT has it"
        yield Finding(what=what, verdict=Verdict.OK, said=said)


def ordinary_ids(manifest: Manifest) -> tuple[int, ...]:
    """Token ids of `TEXT`, as many as the model's context holds."""
    return encode_text(load_tokenizer(manifest), TEXT)[: manifest.model.context]


def model_findings(manifest: Manifest) -> Iterator[Finding]:
    """Parity of every variant with Hugging Face, activations and weights: what stage `models` checks."""
    ids = ordinary_ids(manifest)
    variants = [manifest.variant(name) for name in (BASE, *sorted(manifest.adapters))]
    yield from parity_findings(check_health(manifest, variants, ids))


def model_readings(manifest: Manifest) -> Readings:
    """Base's readings of the hooks, on an ordinary text."""
    ids = ordinary_ids(manifest)
    return read_every_way(load_replacement(manifest, manifest.variant(BASE)), ids)


def told(what: str, look: Callable[[], Iterator[Finding]]) -> list[Finding]:
    """What a check finds; where it refuses, its sentence."""
    try:
        return list(look())
    except UserError as error:
        return [Finding(what=what, verdict=Verdict.FAIL, said=str(error))]


def parity_findings(report: Mapping[str, Any]) -> Iterator[Finding]:
    """How far logits are from Hugging Face's, in units of the largest logit's last place in float32."""
    for variant, checks in report["variants"].items():
        parity = checks["parity"]
        ulps = parity["max_difference"] / float(np.spacing(np.float32(parity["max_logit"])))
        said = f"{ulps:,.1f} ULP of the largest logit, {parity['max_logit']:.3g}, in float32"
        yield Finding(what=f"parity {variant}", verdict=Verdict.OK, said=said)


def hook_findings(readings: Readings) -> Iterator[Finding]:
    """Whether the declared reading of the hooks is the one that explains what MLPs write."""
    declared = " to ".join(readings.declared)
    left = readings.typical(readings.declared)
    best = " to ".join(readings.best)
    if readings.is_wrong:
        better = readings.typical(readings.best)
        said = (
            f"{declared} leaves {left:.1%} of the variance unexplained, {best} {better:.1%}; correct the "
            "hooks in the transcoders' config.yaml"
        )
        yield Finding(what="hooks", verdict=Verdict.FAIL, said=f"{said}.")
    elif not readings.explains:
        said = f"{declared} leaves {left:.1%} of the variance unexplained, and no other reading less"
        yield Finding(
            what="hooks", verdict=Verdict.FAIL, said=f"{said}; are these transcoders of this model and layer?"
        )
    elif not readings.is_clear and readings.rival is not None:
        other = " to ".join(readings.rival)
        said = f"{declared} leaves {left:.1%} unexplained, {other} {readings.typical(readings.rival):.1%}"
        yield Finding(what="hooks", verdict=Verdict.NOTE, said=f"{said}: no clear winner.")
    else:
        rival = readings.rival
        than = "" if rival is None else f"; {' to '.join(rival)} leaves {readings.typical(rival):.1%}"
        said = f"{declared} leaves {left:.1%} of the variance unexplained{than}"
        yield Finding(what="hooks", verdict=Verdict.OK, said=said)

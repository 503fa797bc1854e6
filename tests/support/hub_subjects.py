"""Subjects that lie on a hub, and what is said where they cannot be had."""

from collections.abc import Callable
from typing import Any

import pytest
import yaml

from store.base.errors import UserError
from tests.support.builders import Checkpoint
from tests.support.hub_server import HubServer


def one_sentence(call: Callable[[], Any]) -> str:
    with pytest.raises(UserError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    return message


def upload_subject(hub: HubServer, checkpoint: Checkpoint) -> dict[str, Any]:
    """A subject of which everything is on the hub; the transcoders' files in a repository of their own."""
    hub.upload("some/base", checkpoint.base)
    hub.upload("some/general", checkpoint.adapter("general"))
    config = yaml.safe_load((checkpoint.transcoders / "config.yaml").read_text())
    config["transcoders"] = [f"hf://some/layers/deep/{name}?revision=main" for name in config["transcoders"]]
    hub.upload("some/set", {"config.yaml": yaml.safe_dump(config).encode()})
    layers = checkpoint.transcoders.glob("*.safetensors")
    hub.upload("some/layers", {f"deep/{path.name}": path.read_bytes() for path in layers})
    return {"model": "some/base", "transcoders": "some/set", "adapters": {"general": "some/general"}}

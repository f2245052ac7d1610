"""From torch modules to plain networks and back. Weights are copied."""

from collections.abc import Mapping

import torch
from torch import nn

from beatgan.model.networks import Network, Networks
from beatgan.model.torch_modules.context_networks import (
    BeatClassifier,
    ContextAutoencoder,
    RhythmDensity,
)
from beatgan.model.torch_modules.networks import Autoencoder, Generator, Student

MODULES: Mapping[str, type[nn.Module]] = {
    each.__name__: each
    for each in (Generator, Student, ContextAutoencoder, RhythmDensity, BeatClassifier)
}
AutoencoderModule = Autoencoder | ContextAutoencoder  # one that says what a beat looks like


def network_of(module: nn.Module) -> Network:
    """The present weights of ``module``, which is one of `MODULES` on any device."""
    state = {name: each.detach().cpu().numpy().copy() for name, each in module.state_dict().items()}
    arguments = vars(module)["arguments"]
    return Network.of({"name": type(module).__name__, "arguments": arguments, "state": state})


def networks_of(
    beat: AutoencoderModule,
    rhythm: RhythmDensity | None = None,
    classes: BeatClassifier | None = None,
) -> Networks:
    """The present weights of a model's modules."""
    return Networks(
        network_of(beat),
        None if rhythm is None else network_of(rhythm),
        None if classes is None else network_of(classes),
    )


def module_of(network: Network) -> nn.Module:
    """A module with the weights of ``network``, on the CPU, in eval mode."""
    module = MODULES[network.architecture](**network.arguments)
    module.load_state_dict(
        {name: torch.from_numpy(array.copy()) for name, array in network.state.items()}
    )
    return module.eval()


def autoencoder_of(network: Network) -> AutoencoderModule:
    """`module_of` one that says what a beat looks like; TypeError if it is another."""
    module = module_of(network)
    if not isinstance(module, AutoencoderModule):
        raise TypeError(f"a {network.architecture} gives no windows")
    return module

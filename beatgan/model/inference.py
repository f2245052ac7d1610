"""Forward passes: windows through a network, on a CPU or a GPU. Knows no score and no beat.

Law: a row's result does not depend on its batch, nor on the number of threads, to the bit. On a
CPU the student goes through a pass of our own (`beatgan.model.compiled_networks`), whose bits are
the same on every processor, too. All else is torch's (`beatgan.model.torch_modules.forward`).
"""

from beatgan.model import optional_torch
from beatgan.model.compiled_networks import ForwardPass, compiled_autoencoder
from beatgan.model.networks import Network


def forward(network: Network, width: int, device: str = "cpu") -> ForwardPass:
    """The forward pass of ``network`` on ``device``; its rows have ``width`` numbers.

    Raises ArtifactError where that needs torch, and there is none.
    """
    compiled = compiled_autoencoder(network) if device == "cpu" else None
    return compiled or optional_torch.forward(network, width, device)

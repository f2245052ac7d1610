"""The only way from serving to torch, which a CPU does without: it may be missing.

It is imported at the first call: that takes a second or two, and some hundred megabytes.
"""

from beatgan.errors import ArtifactError
from beatgan.model.compiled_networks import ForwardPass
from beatgan.model.networks import Network


class NoTorchError(Exception):
    """Torch, or what it needs, cannot be used here; the text says why."""


def gpus() -> int:
    """How many GPUs torch can use, at least one; NoTorchError says why there is none."""
    try:
        import torch
    except (ImportError, OSError) as error:
        raise NoTorchError(_why(error)) from error
    if not torch.cuda.is_available():
        what = "is built without CUDA" if torch.version.cuda is None else "finds no usable GPU"
        raise NoTorchError(f"torch {torch.__version__} {what}")
    return torch.cuda.device_count()


def forward(network: Network, width: int, device: str) -> ForwardPass:
    """See `beatgan.model.torch_modules.forward`; ArtifactError where there is no torch."""
    try:
        from beatgan.model.torch_modules import forward as by_torch
    except (ImportError, OSError) as error:
        raise ArtifactError(
            f"a {network.architecture} on {device} needs torch: {_why(error)}"
        ) from error
    return by_torch.forward(network, width, device)


def _why(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name == "torch":
        return "torch is not installed (pip install 'beatgan[cuda]')"
    return f"torch cannot be imported: {error}"

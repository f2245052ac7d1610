"""Networks made ready for several processes: one start, normalisation of whole batches.

Knows no task and no loss.
"""

import torch
from torch import Tensor, nn
from torch import distributed as dist

from beatgan_train.training.distributed import gathered, processes


class GlobalBatchNorm(nn.BatchNorm1d):
    """BatchNorm1d by the statistics of the batch of all processes, whose shares are of one size.

    For CPUs, too, on which torch's SyncBatchNorm does not work. It is a BatchNorm1d with its
    state, so that it starts as one and is saved as one. float32 within, whatever goes through.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Normalise ``input`` (n, channels) or (n, channels, length)."""
        if not self.training:
            return super().forward(input)
        values = input.float()
        mean, variance = self._of_all(values)
        self._remember(mean, variance, values.numel() // len(mean) * processes())
        scale = self.weight * (variance + self.eps).rsqrt()
        shift = self.bias - mean * scale
        shape = (1, -1) + (1,) * (values.dim() - 2)
        return torch.addcmul(shift.view(shape), values, scale.view(shape)).to(input.dtype)

    def _of_all(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of each channel over all processes (Chan et al. 1979)."""
        dims = [0, *range(2, values.dim())]
        variance, mean = torch.var_mean(values, dims, correction=0)
        means, variances = gathered(torch.stack([mean, variance])[None]).unbind(1)
        whole = means.mean(0)
        return whole, variances.mean(0) + (means - whole).square().mean(0)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Move the running statistics, as BatchNorm1d does."""
        if self.running_mean is None or self.running_var is None or self.momentum is None:
            return
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)


def distribute(network: nn.Module) -> None:
    """Make ``network``, on its device, ready for several processes, before its optimiser is made.

    All of them get the first one's weights, though each has drawn the same: another processor may
    have rounded them differently.
    """
    if processes() == 1:
        return
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if type(child) is nn.BatchNorm1d:
                setattr(module, name, _of_whole_batches(child))
    for tensor in network.state_dict().values():
        dist.broadcast(tensor, 0)


def _of_whole_batches(layer: nn.BatchNorm1d) -> GlobalBatchNorm:
    """``layer`` with its own parameters and statistics, shared with it."""
    made = GlobalBatchNorm(layer.num_features, layer.eps, layer.momentum)
    made.weight, made.bias = layer.weight, layer.bias
    made.running_mean, made.running_var = layer.running_mean, layer.running_var
    made.num_batches_tracked = layer.num_batches_tracked
    return made

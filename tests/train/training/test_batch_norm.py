"""Batch normalisation of whole batches: what torch's is, where one process has the whole batch."""

import pytest
import torch
from torch import nn

from beatgan_train.training.batch_norm import GlobalBatchNorm


@pytest.mark.parametrize("shape", [(8, 3), (8, 3, 10)])
def test_alone_it_normalises_as_torch_does(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    found, expected = GlobalBatchNorm(3), nn.BatchNorm1d(3)
    nn.init.normal_(expected.weight)
    found.load_state_dict(expected.state_dict())
    values = 5 + torch.randn(shape)
    wanted = torch.randn(shape)
    for training in (True, True, False):
        gradients = []
        for layer in (found.train(training), expected.train(training)):
            given = values.clone().requires_grad_()
            layer.zero_grad()
            (layer(given) - wanted).square().sum().backward()
            gradients.append([given.grad, *(each.grad for each in layer.parameters())])
        torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(found(values), expected(values), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.state_dict(), expected.state_dict())


def test_it_passes_on_the_type_that_it_is_given() -> None:
    assert GlobalBatchNorm(3)(torch.randn(8, 3, 10).bfloat16()).dtype == torch.bfloat16

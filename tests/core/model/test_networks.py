"""The networks: as large as published, as shaped as promised, and blind to nothing."""

import pytest
import torch
from torch import nn

from beatgan.model.torch_modules.networks import (
    Autoencoder,
    Discriminator,
    Generator,
    Student,
    parameter_count,
)

NETWORKS = [Generator(width=4, amplitude=8.0), Student(amplitude=8.0)]


def test_published_sizes() -> None:
    assert parameter_count(Generator()) == 1_908_800
    assert parameter_count(Discriminator()) == 703_488


def test_published_layers() -> None:
    convolutions = [m for m in Generator().encoder if isinstance(m, nn.Conv1d)]
    assert [m.out_channels for m in convolutions] == [32, 64, 128, 256, 512, 50]
    assert [m.kernel_size for m in convolutions] == [(4,)] * 5 + [(10,)]
    named = dict(Generator().named_parameters())
    biases = [name for name in named if name.endswith("bias")]
    layers = dict(Generator().named_modules())
    assert all(isinstance(layers[name.rpartition(".")[0]], nn.BatchNorm1d) for name in biases)


def test_a_student_is_a_twentieth_of_the_published_generator() -> None:
    assert Student.LIMIT == 1_908_800 // 20
    assert parameter_count(Student()) == 92_848 <= Student.LIMIT
    with pytest.raises(ValueError, match=r"at most 95,440 parameters, this one 138,568"):
        Student(hidden=180)


@pytest.mark.parametrize("network", NETWORKS)
def test_windows_in_windows_out(network: Autoencoder) -> None:
    assert network(torch.randn(5, 320)).shape == (5, 320)


@pytest.mark.parametrize(("width", "bottleneck", "length"), [(1, 1, 32), (3, 7, 64), (8, 20, 320)])
def test_width_bottleneck_and_length_are_free(width: int, bottleneck: int, length: int) -> None:
    network = Generator(length, width, bottleneck)
    windows = torch.randn(3, length)
    assert network(windows).shape == (3, length)
    assert network.encode(windows).shape == (3, bottleneck, 1)


@pytest.mark.parametrize("length", [0, 31, 100, 321])
@pytest.mark.parametrize("kind", [Generator, Discriminator])
def test_a_length_that_cannot_be_halved_is_refused(
    kind: type[Generator] | type[Discriminator], length: int
) -> None:
    with pytest.raises(ValueError, match=f"multiple of 32 samples, got {length}"):
        kind(length)


@pytest.mark.parametrize("amplitude", [0.0, -1.0, float("inf"), float("nan")])
def test_an_amplitude_must_be_a_size(amplitude: float) -> None:
    with pytest.raises(ValueError, match="amplitude must be positive"):
        Student(amplitude=amplitude)


@pytest.mark.parametrize("network", NETWORKS)
def test_nothing_beyond_the_amplitude_is_expected_but_all_is_seen(network: Autoencoder) -> None:
    network.eval()
    beat = 4 * torch.exp(-0.5 * ((torch.arange(320) - 140) / 8) ** 2)[None]
    errors = []
    for size in (1, 5, 25, 125):
        with torch.no_grad():
            expected = network(size * beat)
        assert expected.abs().max() <= 8
        errors.append((size * beat - expected).square().mean().item())
    assert errors[1] < errors[2] < errors[3]
    assert errors[3] > 100 * errors[1]


@pytest.mark.parametrize("network", NETWORKS)
def test_name_arguments_and_state_rebuild_a_network(network: Autoencoder) -> None:
    twin = type(network)(**network.arguments)
    twin.load_state_dict(network.state_dict())
    windows = torch.randn(4, 320)
    assert torch.equal(twin.eval()(windows), network.eval()(windows))


def test_the_discriminator_gives_logits_and_the_features_before_them() -> None:
    discriminator = Discriminator(width=4)
    logits, features = discriminator(torch.randn(6, 320))
    assert logits.shape == (6,)
    assert features.shape == (6, 64, 10)
    assert torch.allclose(discriminator.classifier(features).flatten(), logits)


def test_weights_start_xavier_normal() -> None:
    torch.manual_seed(0)
    layer = Generator().encoder[11]  # 256 to 512 channels
    assert isinstance(layer, nn.Conv1d)
    published = (2 / (256 * 4 + 512 * 4)) ** 0.5
    assert layer.weight.std().item() == pytest.approx(published, rel=0.01)

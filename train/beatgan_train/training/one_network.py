"""What every training of one network shares that holds nothing out.

The network, its optimiser and how far its rate has come down; knows no loss and no data.
"""

import torch
from torch import nn

from beatgan_train.training.batch_norm import distribute
from beatgan_train.training.loop import State, set_rate

DECAY = 1e-3  # of weights


class OneNetwork:
    """The part of a TrainingTask of ``network`` that knows neither its rows nor its losses.

    ``rate`` is AdamW's at first; it comes down along half a cosine over ``epochs``.
    """

    def __init__(self, network: nn.Module, rate: float, epochs: int) -> None:
        distribute(network)
        self._trained, self._rate, self._epochs = network, rate, epochs
        self._adam = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=DECAY)
        self._steps = 0

    def validation_loss(self) -> None:
        """Nothing is held out: the last epoch is the best."""
        return

    def network_state(self) -> State:
        """The network's."""
        return self._trained.state_dict()

    def state(self) -> State:
        """The network, its optimiser and how far the rate has come down."""
        return {
            "network": self._trained.state_dict(),
            "adam": self._adam.state_dict(),
            "steps": self._steps,
        }

    def restore(self, state: State) -> None:
        """Continue from ``state``."""
        self._trained.load_state_dict(state["network"])
        self._adam.load_state_dict(state["adam"])
        self._steps = state["steps"]

    def _begin_step(self, rows: int, batch: int) -> None:
        """To train mode, with the rate of this step; an epoch visits ``rows`` by ``batch``."""
        self._trained.train()
        set_rate(self._adam, self._rate, self._steps, self._epochs * (rows // batch))
        self._steps += 1

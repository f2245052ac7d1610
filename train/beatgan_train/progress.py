"""How a training looks on a terminal: bars while it runs, one line for each finished epoch."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (  # fmt: skip
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from beatgan_train.training.loop import EpochMetrics


class TerminalProgress:
    """A Callback that draws on ``console``, within a ``with`` block; ``bars`` take more tasks."""

    def __init__(self, console: Console) -> None:
        self.bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self.bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.bars.stop()

    def say(self, text: str) -> None:
        """Print ``text`` above the bars."""
        self.bars.console.print(text, highlight=False, soft_wrap=True)

    def on_epoch_begin(self, epoch: int, epochs: int, steps: int) -> None:
        """A new bar."""
        self._task = self.bars.add_task(f"epoch {epoch}/{epochs}", total=steps)

    def on_step(self) -> None:
        """Move the bar."""
        if self._task is not None:
            self.bars.advance(self._task)

    def on_epoch_end(self, line: EpochMetrics, best: bool) -> None:
        """The bar gives way to a line of figures."""
        if self._task is not None:
            self.bars.remove_task(self._task)
        figures = "  ".join(f"{name} {value:.4g}" for name, value in line.items())
        self.say(f"{figures}{'  (best)' if best else ''}")

"""How many recordings are read: one after another here, or each process of several its share."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from rich.progress import Progress

Item = TypeVar("Item")
Found = TypeVar("Found")


class ForEach(Protocol):
    """What ``work`` returns for each of ``items``, in their order; it raises a BeatganError."""

    def __call__(self, work: Callable[[Item], Found], items: Sequence[Item], /) -> list[Found]:
        """See the class."""


def in_turn(work: Callable[[Item], Found], items: Sequence[Item]) -> list[Found]:
    """All of them by this process."""
    return [work(item) for item in items]


def read_each(
    read: Callable[[Item], Found],
    items: Sequence[Item],
    progress: Progress | None,
    for_each: ForEach = in_turn,
) -> list[Found]:
    """What ``read`` returns for each of ``items``, shown on a bar."""
    task = progress.add_task("reading recordings", total=len(items)) if progress else None

    def shown(item: Item) -> Found:
        found = read(item)
        if progress and task is not None:
            progress.advance(task)
        return found

    found = for_each(shown, items)
    if progress and task is not None:
        progress.update(task, completed=len(items))  # those of other processes, too
    return found

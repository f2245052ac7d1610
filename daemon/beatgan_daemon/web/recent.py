"""The latest of a sequence, which readers take from where they left off."""

from collections import deque
from typing import Generic, TypeVar

ItemT = TypeVar("ItemT")


class Recent(Generic[ItemT]):
    """The latest ``most`` items; each has a number, counted from 0."""

    def __init__(self, most: int) -> None:
        self._items: deque[ItemT] = deque(maxlen=most)
        self.next = 0

    def add(self, item: ItemT) -> None:
        """One more; the oldest goes where there are too many."""
        self._items.append(item)
        self.next += 1

    def clear(self) -> None:
        """Forget all; the numbers go on."""
        self._items.clear()

    def since(self, number: int) -> list[ItemT]:
        """The items from ``number`` on, as far as they are there still."""
        count = min(max(0, self.next - number), len(self._items))
        return [self._items[at] for at in range(len(self._items) - count, len(self._items))]

    def missed(self, number: int) -> bool:
        """Whether some from ``number`` on are gone."""
        return self.next - number > len(self._items)

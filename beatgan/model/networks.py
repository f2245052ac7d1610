"""Trained networks as plain values: an architecture's name, its arguments and its arrays."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from beatgan.errors import ArtifactError
from beatgan.model.architectures import ARCHITECTURES

Array = NDArray[Any]
COUNTER = "num_batches_tracked"  # of a batch normalisation: whole numbers
REAL = ("amplitude", "dropout")  # arguments that are no sizes
NOT_LEARNT = (COUNTER, "running_mean", "running_var")


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """A network: ``arguments`` are those of its architecture, ``state`` its arrays by name.

    Arrays are float32, but for counters, and in the architecture's order.
    """

    architecture: str
    arguments: Mapping[str, Any]
    state: Mapping[str, Array]

    @classmethod
    def of(cls, table: Any) -> "Network":
        """The network stored as ``table``; raises ArtifactError where it is not of its kind."""
        try:
            name, arguments, state = table["name"], dict(table["arguments"]), dict(table["state"])
            _check_numbers(arguments)
            shapes = ARCHITECTURES[name](**arguments)
        except KeyError as error:
            raise ArtifactError(f"networks: {error}") from None
        except (TypeError, ValueError, AttributeError, ArithmeticError) as error:
            raise ArtifactError(f"networks: {error}") from None
        if other := sorted(map(str, shapes.keys() ^ state.keys())):
            raise ArtifactError(f"networks: {other[0]}: missing or unknown in a {name}")
        for key, shape in shapes.items():
            kind = np.dtype(np.int64 if key.endswith(COUNTER) else np.float32)
            found = state[key]
            if not isinstance(found, np.ndarray) or (found.dtype, found.shape) != (kind, shape):
                raise ArtifactError(f"networks: {key}: expected {kind} {shape}, got {_kind(found)}")
        return cls(name, arguments, {key: state[key] for key in shapes})

    def table(self) -> dict[str, Any]:
        """Plain values and arrays, as stored in a model file."""
        return {
            "name": self.architecture,
            "arguments": dict(self.arguments),
            "state": dict(self.state),
        }

    @property
    def length(self) -> int:
        """Samples of the windows that it takes, where it takes windows."""
        return int(self.arguments["length"])

    @property
    def amplitude(self) -> float:
        """The largest deflection of an output, where it gives windows."""
        return float(self.arguments["amplitude"])

    @property
    def parameters(self) -> int:
        """How many numbers were learnt."""
        return sum(
            array.size for name, array in self.state.items() if not name.endswith(NOT_LEARNT)
        )


@dataclass(frozen=True, slots=True, eq=False)
class Networks:
    """What a model consists of: what a beat looks like, when it comes, which class it is of."""

    beat: Network
    rhythm: Network | None = None
    classes: Network | None = None

    NAMES: ClassVar[tuple[str, ...]] = ("beat", "rhythm", "classes")

    @classmethod
    def of(cls, tables: Mapping[str, Any]) -> "Networks":
        """The networks stored as ``tables``, by name; raises ArtifactError on what is none."""
        if unknown := [name for name in tables if name not in cls.NAMES]:
            raise ArtifactError(f"networks: unknown part {unknown[0]!r}")
        if "beat" not in tables:
            raise ArtifactError("networks: missing 'beat'")
        return cls(**{name: Network.of(table) for name, table in tables.items()})

    def present(self) -> dict[str, Network]:
        """Those that there are, by name."""
        parts = {name: getattr(self, name) for name in self.NAMES}
        return {name: part for name, part in parts.items() if part is not None}

    @property
    def label_free(self) -> int:
        """Parameters that learn from normal beats alone."""
        parts = self.present()
        return sum(parts[name].parameters for name in ("beat", "rhythm") if name in parts)

    @property
    def parameters(self) -> int:
        """Parameters in all."""
        return sum(part.parameters for part in self.present().values())


def _check_numbers(arguments: Mapping[str, Any]) -> None:
    """Raise TypeError unless sizes are whole numbers, and the others numbers."""
    for name, value in arguments.items():
        if name in REAL:
            if type(value) not in (int, float):
                raise TypeError(f"{name}: expected a number, got {value!r}")
        elif type(value) is not int or value < 0:
            raise TypeError(f"{name}: expected a whole number, got {value!r}")


def _kind(value: Any) -> str:
    return f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__

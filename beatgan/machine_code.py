"""Numba's compile results as bytes, and back, without what only a compiler needs.

Numba's own way back reads each function's intermediate code, and imports all that it could compile
with, of which a process that finds everything compiled uses nothing: 0.3 s of its start. Here the
intermediate code is read when a function is compiled that contains this one. Machine code that is
there is run as it is. Knows no file.
"""

import pickle
import sys
from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompileResult
from numba.core.environment import Environment
from numba.core.runtime import nrt
from numba.core.serialize import dumps

_dumps: Callable[[Any], bytes] = dumps
_Library: Any = JITCodeLibrary
_Result: Any = CompileResult
_Environment: Any = Environment
_runtime: Any = nrt.rtsys


def to_bytes(result: Any) -> bytes:
    """A version of a function, just compiled."""
    (name, _, codes), fndesc, environment, signature, *_, referenced = result._reduce()
    symbols = _defined(result.library._get_module_for_linking())
    environments = [_parts(each) for each in (environment, *referenced)]
    return _dumps(((name, *codes, symbols), fndesc, signature, environments))


def from_bytes(content: bytes, target: Any) -> Any:
    """The same, ready to be called, for numba's ``target`` context.

    What these bytes say is run: whoever could write them decides what that is.
    """
    _runtime.initialize(target)  # machine code calls it
    code, fndesc, signature, parts = pickle.loads(content)  # noqa: S301
    codegen = target.codegen()
    environment, *referenced = [_environment(*each) for each in parts]
    library = _LoadedLibrary(codegen, *code)
    entry_point = target.get_executable(library, fndesc, environment)
    for each in referenced:
        codegen.set_env(each.env_name, each)
    return _Result(
        target_context=target,
        typing_context=target.typing_context,
        library=library,
        environment=environment,
        entry_point=entry_point,
        fndesc=fndesc,
        type_annotation=None,
        signature=signature,
        objectmode=False,
        lifted=(),
        typing_error=None,
        call_helper=None,
        metadata=None,
        reload_init=(),
        referenced_envs=referenced,
    )


class _LoadedLibrary(_Library):  # type: ignore[misc]
    """Machine code, and the intermediate code from which it was made, which is read when needed."""

    def __init__(
        self, codegen: Any, name: str, machine_code: bytes, bitcode: bytes, symbols: set[str]
    ) -> None:
        super().__init__(codegen, name)
        self._shared_module: Any = None
        self._bitcode = bitcode
        self.enable_object_caching()
        self._set_compiled_object(machine_code)
        self._finalize_final_module()
        codegen._engine._defined_symbols |= symbols

    def _get_module_for_linking(self) -> Any:
        """What a function is compiled with that contains this one."""
        if self._shared_module is None:
            self._shared_module = llvm.parse_bitcode(self._bitcode)
        return self._shared_module


def _defined(module: Any) -> set[str]:
    """The names of all that is defined in a module."""
    values = (*module.functions, *module.global_variables)
    return {each.name for each in values if not each.is_declaration}


def _parts(environment: Any) -> tuple[str, list[Any], str]:
    """What an environment, the constants of a function, is made of anew."""
    return environment.globals["__name__"], list(environment.consts), environment.env_name


def _environment(module: str, constants: list[Any], name: str) -> Any:
    """An environment. A module that is not imported yet is not imported for it: compiled code
    reads no globals."""
    found = _Environment._memo.get(name)
    if found is None:
        known = sys.modules.get(module)
        found = _Environment({"__name__": module} if known is None else vars(known))
        found.consts[:] = constants
        found.env_name = name
        _Environment._memo[name] = found
    return found

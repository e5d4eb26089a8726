"""Compilation of kernels: numba's settings, the cache on disk, functions by address, and views of arrays.

A kernel is a function decorated with `kernel`. It is compiled when a signature is first requested (`compiled`,
`address`), and loaded from the cache afterwards. Kernels call each other by address, so that a loop is compiled once
for all dynamics, networks and heads (`from_address`).

The floating-point semantics are strict IEEE: no fast-math, no contraction, sums in the order in which they are written.
Results therefore do not depend on the width of the processor's vectors.
"""

import atexit
import fcntl
import hashlib
import os
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

os.environ["NUMBA_DISABLE_INTEL_SVML"] = "1"  # before numba loads: SVML's results depend on the processor

import numba
from numba.core import cgutils, event, types
from numba.core.imputils import impl_ret_untracked
from numba.extending import intrinsic
from numba.np.arrayobj import make_array, populate_array

CACHE_VARIABLE: Final = "PGEXP_CACHE_DIR"
"""Environment variable that names the folder of the kernel cache; ~/.cache/pgexp if it is not set."""

_PACKAGE: Final = Path(__file__).parents[1]
_STANDARD_LIBRARY: Final = Path(sysconfig.get_path("stdlib"))
_SOURCES: Final = ("kernels", "envs/compiled")  # folders of the package that hold kernels

Address = int
Function = Callable[..., Any]


def kernel(function: Function) -> Any:
    """Return the function as a kernel; nothing is compiled yet."""
    if not Path(function.__code__.co_filename).is_relative_to(_PACKAGE):
        return user_kernel(function)
    _cache_in(cache_folder())
    return numba.njit(cache=True, error_model="numpy")(function)


def user_kernel(function: Function) -> Any:
    """Return a user's function as a kernel. Its cache is keyed by the sources of all the user's loaded modules.

    numba notices a change of the function's own file only, not one of a file from which the function imports helpers.
    A function without a file (typed at a prompt) is compiled in each process.
    """
    folder = cache_folder() / _digest(_user_sources())
    folder.mkdir(parents=True, exist_ok=True)
    _cache_in(folder)
    stored = Path(function.__code__.co_filename).is_file()
    try:
        return numba.njit(cache=stored, error_model="numpy")(function)
    finally:
        _cache_in(cache_folder())


def compiled(function: Any, signature: Any) -> Any:
    """Return the kernel, compiled for a signature, or for a tuple of argument types, or loaded from the cache.

    A lock on the cache folder prevents concurrent processes from writing the same files. A line on standard error
    announces the first compilation of a process.
    """
    if getattr(signature, "args", signature) not in function.overloads:
        with _locked(), event.install_listener("numba:compile", _announcement()):
            function.compile(signature)
    return function


def address(function: Any, signature: Any) -> Address:
    """Return the address of the kernel's machine code for the signature, an argument for `from_address`."""
    result = compiled(function, signature).overloads[signature.args]
    return int(result.library.get_pointer_to_function(result.fndesc.llvm_func_name))


def entry_point(function: Any, *arguments: Any) -> Function:
    """Return the kernel, compiled for arguments of these types, as a function that calls it without checking types."""
    kinds = tuple(map(numba.typeof, arguments))
    entry: Function = compiled(function, kinds).overloads[kinds].entry_point
    return entry


def from_address(signature_of: Callable[[Any], Any]) -> Any:
    """Return an intrinsic that turns an address (int64) into a function inside a kernel.

    Its second argument is an array; `signature_of` returns the function's signature for the array's dtype. A call costs
    some 10 ns, the calling kernel stays cacheable, and exceptions of the called function propagate.
    """

    @intrinsic
    def function(typing_context: Any, address: Any, array: Any) -> Any:
        function_type = types.FunctionType(signature_of(array.dtype))

        def generate(context: Any, builder: Any, signature: Any, arguments: Sequence[Any]) -> Any:
            struct = cgutils.create_struct_proxy(function_type)(context, builder)
            pointer = builder.inttoptr(arguments[0], cgutils.voidptr_t)
            struct.c_addr = struct.jit_addr = pointer
            struct.py_addr = cgutils.get_null_value(cgutils.voidptr_t)
            return struct._getvalue()

        return function_type(types.intp, array), generate

    return function


_untyped_intrinsic: Any = intrinsic  # numba's own type does not allow calls within kernels


@_untyped_intrinsic
def borrow(typing_context: Any, array: Any) -> Any:
    """Return a view of the array that owns nothing. It must not outlive the kernel that received the array.

    An array from Python carries a reference count, which numba updates at every call and slice with an atomic
    instruction. A borrowed view has none.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source = make_array(array)(context, builder, arguments[0])
        view = make_array(array)(context, builder)
        populate_array(view, source.data, source.shape, source.strides, source.itemsize, meminfo=None)
        return impl_ret_untracked(context, builder, array, view._getvalue())

    return array(array), generate


@_untyped_intrinsic
def row(typing_context: Any, matrix: Any, index: Any) -> Any:
    """Return a view of a row of a C-contiguous matrix that owns nothing, as `borrow` does."""
    kind = types.Array(matrix.dtype, 1, "C")

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source = make_array(matrix)(context, builder, arguments[0])
        width = builder.extract_value(source.shape, 1)
        data = builder.gep(source.data, [builder.mul(arguments[1], width)])
        view = make_array(kind)(context, builder)
        populate_array(view, data, [width], [source.itemsize], source.itemsize, meminfo=None)
        return impl_ret_untracked(context, builder, kind, view._getvalue())

    return kind(matrix, types.intp), generate


@cache
def cache_folder() -> Path:
    """Return the folder of the compiled kernels of this version; a temporary one if no folder can be written."""
    folder = Path()
    try:
        root = Path(os.environ.get(CACHE_VARIABLE) or _user_cache())
        folder = root / f"kernels-{_digest(_package_sources())}"
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except (OSError, RuntimeError) as error:  # RuntimeError: the user has no home
        temporary = Path(tempfile.mkdtemp(prefix="pgexp-kernels-"))
        atexit.register(shutil.rmtree, temporary, ignore_errors=True)
        reason = getattr(error, "strerror", None) or str(error)
        print(
            f"pgexp: kernels are compiled again in each process, because {folder} cannot be written ({reason}). "
            f"Set {CACHE_VARIABLE} to a folder that can.",
            file=sys.stderr,
        )
        os.environ[CACHE_VARIABLE] = str(temporary)  # for processes that this one starts
        return temporary


def _cache_in(folder: Path) -> None:
    """Set the folder in which numba caches functions that are decorated later."""
    vars(numba.config)["CACHE_DIR"] = str(folder)


def _user_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "pgexp"


def _package_sources() -> Iterator[Path]:
    for folder in _SOURCES:
        yield from sorted((_PACKAGE / folder).rglob("*.py"))


def _user_sources() -> Iterator[Path]:
    """Yield the files of the loaded modules that belong neither to Python, nor to pgexp or an installed package."""
    for _, module in sorted(sys.modules.items()):
        path = Path(getattr(module, "__file__", None) or "")
        installed = not {"site-packages", "dist-packages"}.isdisjoint(path.parts)
        if path.is_relative_to(_STANDARD_LIBRARY) or path.is_relative_to(_PACKAGE) or installed:
            continue
        if path.suffix == ".py" and path.is_file():
            yield path


def _digest(sources: Iterator[Path]) -> str:
    """Hash the sources, numba's settings and Python's version, whose changes numba's index does not notice.

    The processor is part of numba's index.
    """
    found = hashlib.sha256(f"{version('numba')} {sys.version}".encode())
    for name, value in sorted(os.environ.items()):
        if name.startswith("NUMBA_") and name != "NUMBA_CACHE_DIR":
            found.update(f"{name}={value}".encode())
    for path in sources:
        found.update(path.name.encode())
        found.update(path.read_bytes())
    return found.hexdigest()[:16]


@contextmanager
def _locked() -> Iterator[None]:
    with (cache_folder() / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class _Announcement(event.Listener):
    """Says once that kernels are being compiled."""

    def __init__(self) -> None:
        self._made = False

    def on_start(self, event: Any) -> None:
        if not self._made:
            self._made = True
            print("pgexp: compiling kernels for this processor (once, up to half a minute) ...", file=sys.stderr)

    def on_end(self, event: Any) -> None:
        pass


@cache
def _announcement() -> _Announcement:
    return _Announcement()

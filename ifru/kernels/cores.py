"""A compiled loop on all cores: a function is called for each part of it, on numba's threads.

What numba makes of `parallel=True` does the same and takes several times as long to compile: passes look for loops to
fuse, and the body of each loop becomes a function that is optimised once by itself and again where it is called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from llvmlite import ir
from numba import njit
from numba.core import cgutils, compiler, types
from numba.core.base import BaseContext
from numba.core.errors import TypingError
from numba.core.types.containers import BaseTuple
from numba.core.typing.templates import Signature
from numba.extending import intrinsic
from numba.np.ufunc.parallel import _launch_threads

from ifru.kernels.kept import Kept

_INDEX = ir.IntType(64)
_INT = ir.IntType(32)
_BYTES = ir.IntType(8).as_pointer()
_LOOP = ir.FunctionType(ir.VoidType(), [_BYTES.as_pointer(), _INDEX.as_pointer(), _INDEX.as_pointer(), _BYTES])
"""How numba's threads call: where places begin, how many there are, how far each is from the next, and any data."""
_RUN = ir.FunctionType(ir.VoidType(), [_BYTES] * 5 + [_INDEX] * 3)


_Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def loop(**options: Any) -> _Decorator:
    """Compiled for calls from Python, when it is first called, and then kept."""

    def compiled(function: Callable[..., Any]) -> Any:
        made = njit(no_cfunc_wrapper=True, **options)(function)
        made._cache = Kept(function)
        return made

    return compiled


def part(**options: Any) -> _Decorator:
    """Compiled as a part of what hands it to `on_cores`, or calls it."""
    return cast(_Decorator, njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, **options))


@njit(inline="always")
def share(c, parts, places):
    """Where part c begins and ends. Unsigned: code that reads the n-th number before the end is not made for these."""
    return np.uintp(c * places // parts), np.uintp((c + 1) * places // parts)


@intrinsic
def cores(typingctx, places):
    """How many parts a loop over so many places is cut into: as many as numba has threads, at most one a place."""

    def generate(context, builder, signature, args):
        _needs_threads(context)
        threads, most = _cores(builder), args[0]
        few = builder.select(builder.icmp_signed("<", threads, most), threads, most)
        return builder.select(builder.icmp_signed(">", few, _INDEX(1)), few, _INDEX(1))

    return types.intp(types.intp), generate


@intrinsic
def on_cores(typingctx, function, parts, arguments):
    """Call function(c, parts, *arguments) for each c from 0 to before `parts`. Only in a `loop`.

    Python's lock is released meanwhile, and one part alone wakes no thread. With 0 parts there is one, which keeps the
    lock: to hand it over would take longer than a short loop.
    """
    return _spread(types.none, function, parts, arguments)


@intrinsic
def counted_on_cores(typingctx, function, parts, arguments):
    """`on_cores`; the sum of the integers that the calls return."""
    return _spread(types.int64, function, parts, arguments)


@intrinsic
def summed_on_cores(typingctx, function, parts, arguments):
    """`on_cores`; the sum, in the order of the parts, of the numbers that the calls return, in float64."""
    return _spread(types.float64, function, parts, arguments)


def _spread(result: types.Type, function: types.Type, parts: types.Type, arguments: types.Type) -> tuple[Any, Any]:
    """The signature of a call on all cores, and what makes its code."""
    if not isinstance(function, types.Dispatcher) or not isinstance(arguments, BaseTuple):
        raise TypingError("a call on all cores takes a compiled function and a tuple of its arguments")
    callee = result(types.intp, types.intp, *arguments.types)

    def generate(context, builder, signature, args):
        calls = _Calls(context, builder, function.dispatcher, callee, args[1], args[2])
        calls.make()
        return calls.total()

    return result(function, types.intp, arguments), generate


def _needs_threads(context: BaseContext) -> None:
    """Have processes that load what is being compiled start numba's threads before."""
    context.active_code_library._reload_init.add(_launch_threads)
    _launch_threads()


def _cores(builder: ir.IRBuilder) -> ir.Value:
    known = cgutils.get_or_insert_function(builder.module, ir.FunctionType(_INT, []), "get_num_threads")
    return builder.zext(builder.call(known, []), _INDEX)


class _Calls:
    """Code that calls a function for parts of a loop. They share the number of parts, the arguments, and room for what
    each returns."""

    def __init__(
        self, context: BaseContext, builder: ir.IRBuilder, function: Any, callee: Signature, parts: Any, arguments: Any
    ) -> None:
        _needs_threads(context)
        self._context, self._builder, self._callee, self._asked = context, builder, callee, parts
        self._function = context.declare_function(builder.module, _compiled(context, function, callee))
        self._result = context.get_value_type(callee.return_type)
        self._returns = callee.return_type is not types.none
        alone = builder.icmp_signed("==", parts, _INDEX(0))
        self._parts = builder.select(alone, _INDEX(1), parts)
        self._results = builder.alloca(self._result if self._returns else _INDEX, size=self._parts)
        shared = cgutils.pack_struct(builder, [self._parts, self._results, arguments])
        self._data = cgutils.alloca_once_value(builder, shared)

    def make(self) -> None:
        """Call the function for all parts."""
        builder, stretch, python = self._builder, self._stretch(), self._context.get_python_api(self._builder)
        nowhere = cgutils.alloca_once_value(builder, ir.Constant(_BYTES, None))
        size, step = (cgutils.alloca_once_value(builder, each) for each in (self._parts, _INDEX(1)))
        data, several = builder.bitcast(self._data, _BYTES), builder.icmp_signed(">", self._parts, _INDEX(1))
        released = cgutils.alloca_once_value(builder, ir.Constant(_BYTES, None))
        lasting = builder.icmp_signed("!=", self._asked, _INDEX(0))
        with builder.if_then(lasting):
            builder.store(python.save_thread(), released)
        with builder.if_else(several) as (then, otherwise):
            with then:
                run = cgutils.get_or_insert_function(builder.module, _RUN, "numba_parallel_for")
                pointers = [builder.bitcast(each, _BYTES) for each in (stretch, nowhere, size, step)]
                builder.call(run, [*pointers, data, _INDEX(0), _INDEX(1), _cores(builder)])
            with otherwise:
                builder.call(stretch, [nowhere, size, step, data])
        with builder.if_then(lasting):
            python.restore_thread(builder.load(released))

    def total(self) -> ir.Value:
        """The sum of what was returned."""
        builder = self._builder
        if not self._returns:
            return self._context.get_dummy_value()
        total = cgutils.alloca_once_value(builder, ir.Constant(self._result, 0))
        add = builder.fadd if isinstance(self._callee.return_type, types.Float) else builder.add
        with cgutils.for_range(builder, self._parts, intp=_INDEX) as each:
            so_far = builder.load(total)
            builder.store(add(so_far, builder.load(builder.gep(self._results, [each.index]))), total)
        return builder.load(total)

    def _stretch(self) -> ir.Function:
        """What a thread calls for parts that follow each other: their places are addresses, which are not read."""
        module = self._builder.module
        stretch = ir.Function(module, _LOOP, module.get_unique_name(f"{self._function.name}.stretch"))
        stretch.linkage = "internal"
        # It is called in two places: alone, and by threads.
        stretch.attributes.add("noinline")
        builder = ir.IRBuilder(stretch.append_basic_block("entry"))
        begins, sizes, _, data = stretch.args
        first, data = builder.ptrtoint(builder.load(begins), _INDEX), builder.bitcast(data, self._data.type)
        parts, results, arguments = cgutils.unpack_tuple(builder, builder.load(data), 3)
        members = cgutils.unpack_tuple(builder, arguments, len(self._callee.args) - 2)
        with cgutils.for_range(builder, builder.load(sizes), intp=_INDEX) as each:
            place = builder.add(first, each.index)
            _, value = self._context.call_conv.call_function(
                builder, self._function, self._callee.return_type, self._callee.args, [place, parts, *members]
            )
            if self._returns:
                builder.store(value, builder.gep(results, [place]))
        builder.ret_void()
        return stretch


def _compiled(context: BaseContext, function: Any, callee: Signature) -> Any:
    """A function compiled into the library that is being compiled; not into one of its own, which would be optimised,
    turned into machine code and then linked, to be so once more."""
    flags = compiler.Flags()
    function.targetdescr.options.parse_as_flags(flags, function.targetoptions)
    flags.no_compile = True
    library, arguments = context.active_code_library, tuple(callee.args)
    made = compiler.compile_internal(
        context.typing_context, context, library, function.py_func, arguments, callee.return_type, flags, {}
    )
    return made.fndesc

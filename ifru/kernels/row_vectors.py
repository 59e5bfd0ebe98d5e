"""Dot products and sums of table rows as vector instructions, and prefetches, for compiled loops.

A compiler that does not know how long a row is vectorises short loops badly, and checks before each whether its
arrays overlap. Here a row is read in pieces of one cache line, the last of them under a mask.

Axes: n leading columns of a row. Parameters are two-dimensional, contiguous and of one floating-point type.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.base import BaseContext
from numba.core.errors import TypingError
from numba.core.types.containers import StarArgTuple
from numba.extending import intrinsic

LINE = 64
"""Bytes of a cache line, and of a vector instruction."""

FAR, NEAR = 24, 12
"""How many interactions ahead of its use what is known of an interaction is fetched, and then the row at its far end:
where they lie scattered over gigabytes, a loop otherwise waits for memory most of the time."""

_AT_ONCE = 4
"""Sums that grow beside each other: one alone would wait for each of its additions."""

TILE = 8
"""Rows of a table that are summed in registers at once; a divisor of the numbers in a cache line."""

_INDEX = ir.IntType(64)
_LANE = ir.IntType(32)
_BIT = ir.IntType(1)
REORDER = ("reassoc", "contract", "nsz")


@intrinsic
def dot(typingctx, a, i, b, j, n):
    """a[i]·b[j], of n columns."""
    index = types.intp
    same_type(a, b)

    def generate(context, builder, signature, args):
        rows = Rows(context, builder, a, args[4])
        of_a, of_b = rows.at(args[0], args[1]), rows.at(args[2], args[3])
        return rows.summed(lambda load, so_far: rows.fused(load(of_a), load(of_b), so_far))

    return a.dtype(a, index, b, index, index), generate


@intrinsic
def add(typingctx, out, o, s, a, i, n):
    """out[o] += s·a[i], of n columns."""
    index = types.intp
    same_type(out, a)

    def generate(context, builder, signature, args):
        rows = Rows(context, builder, out, args[5])
        of_a, scale = rows.at(args[3], args[4]), rows.splat(args[2])
        rows.updated(rows.at(args[0], args[1]), lambda load, old: rows.fused(scale, load(of_a), old))
        return context.get_dummy_value()

    return types.void(out, index, out.dtype, a, index, index), generate


@intrinsic
def add_two(typingctx, out, o, s, a, i, t, b, j, n):
    """out[o] += s·a[i] + t·b[j], of n columns."""
    index = types.intp
    same_type(out, a, b)

    def generate(context, builder, signature, args):
        rows = Rows(context, builder, out, args[8])
        of_a, of_b = rows.at(args[3], args[4]), rows.at(args[6], args[7])
        first, second = rows.splat(args[2]), rows.splat(args[5])
        rows.updated(
            rows.at(args[0], args[1]),
            lambda load, old: rows.fused(second, load(of_b), rows.fused(first, load(of_a), old)),
        )
        return context.get_dummy_value()

    return types.void(out, index, out.dtype, a, index, out.dtype, b, index, index), generate


@intrinsic
def copy(typingctx, out, o, a, i, n):
    """out[o] <- a[i], of n columns."""
    index = types.intp
    same_type(out, a)

    def generate(context, builder, signature, args):
        rows = Rows(context, builder, out, args[4])
        of_a = rows.at(args[2], args[3])
        rows.updated(rows.at(args[0], args[1]), lambda load, old: load(of_a))
        return context.get_dummy_value()

    return types.void(out, index, a, index, index), generate


@intrinsic
def combine(typingctx, out, o, a, listed, scale, begin, end, n):
    """out[o] <- Σ scale[i]·a[i], of n columns, over the numbers i of `listed` (int32) from begin to before end."""
    index = types.intp
    same_type(out, a)

    def generate(context, builder, signature, args):
        rows = Rows(context, builder, out, args[7])
        numbers = context.make_array(listed)(context, builder, args[3])
        scales = context.make_array(scale)(context, builder, args[4])

        def term(load, place, so_far):
            i = builder.sext(builder.load(builder.gep(numbers.data, [place])), _INDEX)
            factor = rows.splat(builder.load(builder.gep(scales.data, [i])))
            return rows.fused(factor, load(rows.at(args[2], i)), so_far)

        rows.summed_into(rows.at(args[0], args[1]), args[5], args[6], term)
        return context.get_dummy_value()

    return types.void(out, index, a, listed, scale, index, index, index), generate


@intrinsic
def add_outer(typingctx, out, o, column, a, scale, count):
    """A tile of out += Σ scale[z]·aᵀa of the rows a[z], z < count: TILE rows from o, a cache line of columns from one.

    Both begin at multiples of their lengths, and the tables have room for whole ones.
    """
    index = types.intp
    same_type(out, a)

    def generate(context, builder, signature, args):
        rows = Rows(context, builder, a, args[2])
        scales = context.make_array(scale)(context, builder, args[4])
        sums = [cgutils.alloca_once_value(builder, rows.zero) for _ in range(TILE)]
        with cgutils.for_range(builder, args[5], intp=_INDEX) as loop:
            row, factor = rows.at(args[3], loop.index), builder.load(builder.gep(scales.data, [loop.index]))
            piece = builder.fmul(rows.load(row, args[2]), rows.splat(factor), flags=REORDER)
            for ahead, each in enumerate(sums):
                one = builder.load(builder.gep(row, [builder.add(args[1], ir.Constant(_INDEX, ahead))]))
                builder.store(rows.fused(rows.splat(one), piece, builder.load(each)), each)
        for ahead, each in enumerate(sums):
            into = rows.at(args[0], builder.add(args[1], ir.Constant(_INDEX, ahead)))
            total = builder.fadd(rows.load(into, args[2]), builder.load(each), flags=REORDER)
            rows.store(total, into, args[2])
        return context.get_dummy_value()

    return types.void(out, index, index, a, scale, index), generate


@intrinsic
def fetch(typingctx, rows, place, end, *tables):
    """Bring row rows[place] of each of some tables near, ahead of its use, if there is such a place before end.

    Elements of a one-dimensional table count as rows of one.
    """

    def generate(context, builder, signature, args):
        with builder.if_then(builder.icmp_signed("<", args[1], args[2])):
            numbers = context.make_array(rows)(context, builder, args[0])
            number = builder.load(builder.gep(numbers.data, [args[1]]))
            if number.type != _INDEX:
                number = builder.sext(number, _INDEX)
            for each, kind in enumerate(tables):
                table = context.make_array(kind)(context, builder, builder.extract_value(args[3], each))
                _fetch_row(builder, table, number, kind.ndim)
        return context.get_dummy_value()

    return types.void(rows, types.intp, types.intp, StarArgTuple(tables)), generate


def _fetch_row(builder: ir.IRBuilder, table: cgutils.Structure, number: ir.Value, dimensions: int) -> None:
    size = builder.extract_value(table.strides, 0)
    first = builder.add(builder.ptrtoint(table.data, _INDEX), builder.mul(number, size))
    if dimensions == 1:
        _fetch(builder, first)
        return
    lines = builder.udiv(builder.add(size, ir.Constant(_INDEX, LINE - 1)), ir.Constant(_INDEX, LINE))
    with cgutils.for_range(builder, lines, intp=_INDEX) as loop:
        _fetch(builder, builder.add(first, builder.mul(loop.index, ir.Constant(_INDEX, LINE))))


def _fetch(builder: ir.IRBuilder, address: ir.Value) -> None:
    pointer = ir.IntType(8).as_pointer()
    kind = ir.FunctionType(ir.VoidType(), [pointer, _LANE, _LANE, _LANE])
    prefetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    builder.call(prefetch, [builder.inttoptr(address, pointer), *(ir.Constant(_LANE, hint) for hint in (0, 3, 1))])


def same_type(*tables: types.Array) -> None:
    for table in tables:
        if (
            not isinstance(table, types.Array)
            or table.ndim != 2
            or table.layout != "C"
            or table.dtype != tables[0].dtype
        ):
            raise TypingError(f"rows of {table} cannot be combined with rows of {tables[0]}; both must be contiguous")


Load = Callable[[ir.Value], ir.Value]
Store = Callable[[ir.Value, ir.Value], None]
Piece = tuple[Load, Store]


class Rows:
    """Emits code that goes over n columns of several rows at once."""

    def __init__(self, context: BaseContext, builder: ir.IRBuilder, table: types.Array, columns: ir.Value) -> None:
        self._context, self._builder, self._table, self._columns = context, builder, table, columns
        self._element = context.get_data_type(table.dtype)
        self._lanes = LINE // context.get_abi_sizeof(self._element)
        self._vector = ir.VectorType(self._element, self._lanes)
        self._suffix = f"v{self._lanes}f{8 * LINE // self._lanes}"
        self.zero = ir.Constant(self._vector, [0.0] * self._lanes)

    def at(self, table: ir.Value, row: ir.Value) -> ir.Value:
        """Pointer to a row."""
        array = self._context.make_array(self._table)(self._context, self._builder, table)
        offset = self._builder.mul(row, self._builder.extract_value(array.strides, 0))
        address = self._builder.add(self._builder.ptrtoint(array.data, _INDEX), offset)
        return self._builder.inttoptr(address, self._element.as_pointer())

    def splat(self, scalar: ir.Value) -> ir.Value:
        """A vector that holds the scalar in every lane."""
        undefined = ir.Constant(self._vector, ir.Undefined)
        single = self._builder.insert_element(undefined, scalar, ir.Constant(_LANE, 0))
        nowhere = ir.Constant(ir.VectorType(_LANE, self._lanes), [0] * self._lanes)
        return self._builder.shuffle_vector(single, undefined, nowhere)

    def fused(self, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
        """a·b + c."""
        return self._builder.fadd(self._builder.fmul(a, b, flags=REORDER), c, flags=REORDER)

    def summed(self, term: Callable[[Load, ir.Value], ir.Value]) -> ir.Value:
        """Σ over the columns; term(load, so far): the next partial sums."""
        builder = self._builder
        sums = cgutils.alloca_once_value(builder, self.zero)
        for load, _ in self._pieces():
            builder.store(term(load, builder.load(sums)), sums)
        return self.sum_of(builder.load(sums))

    def sum_of(self, vector: ir.Value) -> ir.Value:
        """Σ over the lanes."""
        reduce = self._declared(f"llvm.vector.reduce.fadd.{self._suffix}", self._element, [self._element, self._vector])
        return self._builder.call(reduce, [ir.Constant(self._element, 0.0), vector], fastmath=REORDER)

    def updated(self, row: ir.Value, change: Callable[[Load, ir.Value], ir.Value]) -> None:
        """Set a row; change(load, old): its next piece."""
        for load, store in self._pieces():
            store(row, change(load, load(row)))

    def summed_into(
        self, row: ir.Value, begin: ir.Value, end: ir.Value, term: Callable[[Load, ir.Value, ir.Value], ir.Value]
    ) -> None:
        """Set a row to a sum over places; term(load, place, so far): the next partial sums of a piece."""
        builder, several = self._builder, ir.Constant(_INDEX, _AT_ONCE)
        sums = [cgutils.alloca_once(builder, self._vector) for _ in range(_AT_ONCE)]
        last = builder.sub(end, builder.srem(builder.sub(end, begin), several))
        for load, store in self._pieces():
            for each in sums:
                builder.store(self.zero, each)
            with cgutils.for_range_slice(builder, begin, last, several, _INDEX) as (place, _):
                for ahead, each in enumerate(sums):
                    here = builder.add(place, ir.Constant(_INDEX, ahead))
                    builder.store(term(load, here, builder.load(each)), each)
            with cgutils.for_range_slice(builder, last, end, ir.Constant(_INDEX, 1), _INDEX) as (place, _):
                builder.store(term(load, place, builder.load(sums[0])), sums[0])
            total = builder.load(sums[0])
            for each in sums[1:]:
                total = builder.fadd(total, builder.load(each), flags=REORDER)
            store(row, total)

    def _pieces(self) -> Iterator[Piece]:
        """Code for whole pieces in a loop, then for what is left under a mask; each with its load and store."""
        builder, (whole, rest) = self._builder, self.lengths()
        with cgutils.for_range(builder, whole, intp=_INDEX) as loop:
            yield self.piece(loop.index)
        with builder.if_then(builder.icmp_unsigned(">", rest, ir.Constant(_INDEX, 0)), likely=False):
            yield self.masked(whole, rest)

    def lengths(self) -> tuple[ir.Value, ir.Value]:
        """How many whole pieces the columns are, and how many columns are left."""
        lanes = ir.Constant(_INDEX, self._lanes)
        return self._builder.udiv(self._columns, lanes), self._builder.urem(self._columns, lanes)

    def piece(self, number: ir.Value) -> Piece:
        """The load and the store of a whole piece."""
        start = self._builder.mul(number, ir.Constant(_INDEX, self._lanes))
        return partial(self.load, start=start), lambda row, value: self.store(value, row, start)

    def load(self, row: ir.Value, start: ir.Value) -> ir.Value:
        """A whole piece of a row."""
        return self._builder.load(self._piece(row, start), align=LINE // self._lanes)

    def store(self, value: ir.Value, row: ir.Value, start: ir.Value) -> None:
        """Set a whole piece of a row."""
        self._builder.store(value, self._piece(row, start), align=LINE // self._lanes)

    def masked(self, number: ir.Value, rest: ir.Value) -> Piece:
        """The load and the store of a piece that so many columns are left for."""
        start = self._builder.mul(number, ir.Constant(_INDEX, self._lanes))
        builder, pointer = self._builder, self._vector.as_pointer()
        numbers = ir.Constant(ir.VectorType(_LANE, self._lanes), list(range(self._lanes)))
        mask_type = ir.VectorType(_BIT, self._lanes)
        width = self._splat_lane(builder.trunc(rest, _LANE))
        mask = builder.icmp_unsigned("<", numbers, width)
        align = ir.Constant(_LANE, LINE // self._lanes)
        loading = self._declared(
            f"llvm.masked.load.{self._suffix}.p0", self._vector, [pointer, _LANE, mask_type, self._vector]
        )
        storing = self._declared(
            f"llvm.masked.store.{self._suffix}.p0", ir.VoidType(), [self._vector, pointer, _LANE, mask_type]
        )

        def load(row: ir.Value) -> ir.Value:
            return builder.call(loading, [self._piece(row, start), align, mask, self.zero])

        def store(row: ir.Value, value: ir.Value) -> None:
            builder.call(storing, [value, self._piece(row, start), align, mask])

        return load, store

    def _piece(self, row: ir.Value, start: ir.Value) -> ir.Value:
        return self._builder.bitcast(self._builder.gep(row, [start]), self._vector.as_pointer())

    def _splat_lane(self, scalar: ir.Value) -> ir.Value:
        kind = ir.VectorType(_LANE, self._lanes)
        undefined = ir.Constant(kind, ir.Undefined)
        single = self._builder.insert_element(undefined, scalar, ir.Constant(_LANE, 0))
        return self._builder.shuffle_vector(single, undefined, ir.Constant(kind, [0] * self._lanes))

    def _declared(self, name: str, result: ir.Type, arguments: list[ir.Type]) -> ir.Function:
        return cgutils.get_or_insert_function(self._builder.module, ir.FunctionType(result, arguments), name)

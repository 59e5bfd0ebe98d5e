"""Sums between one row and many others, as vector instructions: short enough, the one row stays in registers meanwhile.

Axes: Z other rows, n leading columns of a row. Tables are two-dimensional, contiguous and of one floating-point type.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.base import BaseContext
from numba.core.errors import TypingError
from numba.core.types.containers import StarArgTuple
from numba.extending import intrinsic

from ifru.kernels.row_vectors import Load, Piece, Rows, same_type

_HELD = 4
"""Cache lines of a row that are held at most: the registers of a core have room for no more."""

_INDEX = ir.IntType(64)


@intrinsic
def meet(typingctx, out, far, e, n, *tables):
    """out[z] <- a[e]·b[far[z]] + c[e]·d[far[z]] + …, of n columns, for pairs of tables a, b, c, d, …; far, out [Z]."""
    same_type(*tables)
    index = types.intp

    def generate(context, builder, signature, args):
        rows = Rows(context, builder, tables[0], args[3])
        given = cgutils.unpack_tuple(builder, args[4], len(tables))
        pairs = list(zip(given[::2], given[1::2], strict=True))
        numbers, result = _Numbers(context, builder, far, args[1]), _Numbers(context, builder, out, args[0])

        def short(pieces: Sequence[Piece]) -> None:
            held = [[load(rows.at(near, args[2])) for load, _ in pieces] for near, _ in pairs]
            with cgutils.for_range(builder, numbers.count, intp=_INDEX) as loop:
                i, total = numbers.at(loop.index), rows.zero
                for row, (_, table) in zip(held, pairs, strict=True):
                    there = rows.at(table, i)
                    for own, (load, _) in zip(row, pieces, strict=True):
                        total = rows.fused(own, load(there), total)
                result.set(loop.index, rows.sum_of(total))

        def long() -> None:
            with cgutils.for_range(builder, numbers.count, intp=_INDEX) as loop:
                i = numbers.at(loop.index)
                ends = [(rows.at(near, args[2]), rows.at(table, i)) for near, table in pairs]

                def term(load: Load, so_far: ir.Value) -> ir.Value:
                    for own, there in ends:
                        so_far = rows.fused(load(own), load(there), so_far)
                    return so_far

                result.set(loop.index, rows.summed(term))

        _by_length(builder, rows, short, long)
        return context.get_dummy_value()

    return types.void(out, far, index, index, StarArgTuple(tables)), generate


@intrinsic
def spread(typingctx, out, of_far, first, far, e, n, *terms):
    """out[e] += s[z]·a[far[z]] + …, of n columns, over all z, and of_far[far[z] − first] += s[z]·a[e] + … for each.

    terms: numbers s [Z] and a table a, then further ones. far [Z].
    """
    scales, tables = terms[::2], terms[1::2]
    same_type(out, of_far, *tables)
    index = types.intp

    def generate(context, builder, signature, args):
        rows = Rows(context, builder, out, args[5])
        given = cgutils.unpack_tuple(builder, args[6], len(terms))
        factors = [_Numbers(context, builder, *each) for each in zip(scales, given[::2], strict=True)]
        numbers, own_sum = _Numbers(context, builder, far, args[3]), rows.at(args[0], args[4])

        def short(pieces: Sequence[Piece]) -> None:
            held = [[load(rows.at(table, args[4])) for load, _ in pieces] for table in given[1::2]]
            sums = [cgutils.alloca_once_value(builder, rows.zero) for _ in pieces]
            for (load, _), each in zip(pieces, sums, strict=True):
                builder.store(load(own_sum), each)
            with cgutils.for_range(builder, numbers.count, intp=_INDEX) as loop:
                i = numbers.at(loop.index)
                there, into = [rows.at(table, i) for table in given[1::2]], rows.at(args[1], builder.sub(i, args[2]))
                by = [rows.splat(factor.at(loop.index)) for factor in factors]
                for k, (load, store) in enumerate(pieces):
                    own, other = builder.load(sums[k]), load(into)
                    for factor, row, far_row in zip(by, held, there, strict=True):
                        own, other = rows.fused(factor, load(far_row), own), rows.fused(factor, row[k], other)
                    builder.store(own, sums[k])
                    store(into, other)
            for (_, store), each in zip(pieces, sums, strict=True):
                store(own_sum, builder.load(each))

        def long() -> None:
            with cgutils.for_range(builder, numbers.count, intp=_INDEX) as loop:
                i = numbers.at(loop.index)
                by = [rows.splat(factor.at(loop.index)) for factor in factors]
                into = rows.at(args[1], builder.sub(i, args[2]))
                for target, end in ((own_sum, i), (into, args[4])):
                    ends = [rows.at(table, end) for table in given[1::2]]

                    def change(load: Load, old: ir.Value, ends: Sequence[ir.Value] = ends) -> ir.Value:
                        for factor, row in zip(by, ends, strict=True):
                            old = rows.fused(factor, load(row), old)
                        return old

                    rows.updated(target, change)

        _by_length(builder, rows, short, long)
        return context.get_dummy_value()

    return types.void(out, of_far, index, far, index, index, StarArgTuple(terms)), generate


class _Numbers:
    """The numbers of a one-dimensional array, which need not lie next to each other; integers as indices."""

    def __init__(self, context: BaseContext, builder: ir.IRBuilder, kind: types.Array, value: ir.Value) -> None:
        if not isinstance(kind, types.Array) or kind.ndim != 1:
            raise TypingError(f"{kind} is no column of numbers")
        self._builder, self._array = builder, context.make_array(kind)(context, builder, value)
        self._step = builder.extract_value(self._array.strides, 0)
        self._first = builder.ptrtoint(self._array.data, _INDEX)
        self.count = builder.extract_value(self._array.shape, 0)

    def at(self, place: ir.Value) -> ir.Value:
        number = self._builder.load(self._address(place))
        is_short = isinstance(number.type, ir.IntType) and number.type != _INDEX
        return self._builder.sext(number, _INDEX) if is_short else number

    def set(self, place: ir.Value, value: ir.Value) -> None:
        self._builder.store(value, self._address(place))

    def _address(self, place: ir.Value) -> ir.Value:
        address = self._builder.add(self._first, self._builder.mul(place, self._step))
        return self._builder.inttoptr(address, self._array.data.type)


def _by_length(
    builder: ir.IRBuilder,
    rows: Rows,
    short: Callable[[Sequence[Piece]], None],
    long: Callable[[], None],
) -> None:
    """Code for each number of pieces that can be held, with and without a mask on the last, and for longer rows."""
    whole, rest = rows.lengths()
    some = builder.icmp_unsigned(">", rest, _INDEX(0))
    for count in range(_HELD + 1):
        fits = builder.icmp_unsigned("==", whole, _INDEX(count))
        with builder.if_then(builder.and_(fits, builder.not_(some))):
            short([rows.piece(_INDEX(k)) for k in range(count)])
        if count < _HELD:
            with builder.if_then(builder.and_(fits, some)):
                short([*(rows.piece(_INDEX(k)) for k in range(count)), rows.masked(_INDEX(count), rest)])
    longer = builder.or_(
        builder.icmp_unsigned(">", whole, _INDEX(_HELD)),
        builder.and_(builder.icmp_unsigned("==", whole, _INDEX(_HELD)), some),
    )
    with builder.if_then(longer):
        long()

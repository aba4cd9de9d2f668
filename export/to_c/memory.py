"""Where each value lies in the arena: values that are never needed at the same time share their bytes."""

from aezoo.export.to_c.program import ARENA, Program, Value


def place(program: Program) -> int:
    """Gives every value of the arena its offset; returns the arena's size in bytes.

    The largest values choose first, each the lowest place that is free for as long as it lives (Pisarchyk &
    Lee 2020, arXiv:2001.03288, "greedy by size").
    """
    lives: dict[Value, tuple[int, int]] = {}
    for time, kernel in enumerate(program.kernels):
        for value in (kernel.output.value, *(view.value for view in kernel.views)):
            if value.place == ARENA:
                first, _ = lives.get(value, (time, time))
                lives[value] = (first, time)
    placed: list[tuple[int, int, int, int]] = []
    for value in sorted(lives, key=lambda value: -value.size_bytes):  # a stable sort, so files repeat
        first, last = lives[value]
        value.offset = 0
        for start, end, begins, ends in sorted(placed):
            if begins <= last and first <= ends and value.offset + value.size_bytes > start:
                value.offset = max(value.offset, end)
        end = -(-(value.offset + value.size_bytes) // 4) * 4
        placed.append((value.offset, end, first, last))
    return max((end for _, end, _, _ in placed), default=0)

# Copyright (c) costa_mm authors. All rights reserved.
"""Figures as Markdown tables whose columns also line up in a terminal."""
import os
from typing import Dict, List, Sequence

from .subjects import Spec

HEAD = ('config', 'task', 'T', 'size', 'B', 'mode', 's', 'peak GiB',
        'live GiB', 'TFLOP', 'of rate')
WIDTHS = (14, 8, 3, 7, 2, 14, 8, 8, 8, 7, 7)


def table_row(cells: Sequence, widths: Sequence[int]) -> str:
    """One line; the first column and words to the left, numbers right."""
    padded = [
        str(c).ljust(w) if i == 0 or not str(c)[:1].isdigit() else
        str(c).rjust(w) for i, (c, w) in enumerate(zip(cells, widths))
    ]
    return f"| {' | '.join(padded)} |"


def rule(widths: Sequence[int]) -> str:
    """The line below the head."""
    return f"|{'|'.join('-' * (w + 2) for w in widths)}|"


def head_of_rows() -> str:
    """Head of the table of subjects measured alone."""
    return f'{table_row(HEAD, WIDTHS)}\n{rule(WIDTHS)}'


def short_name(config: str) -> str:
    """'configs/costa_hcstvg.py' to 'costa_hcstvg'."""
    return os.path.splitext(os.path.basename(config))[0]


def row_of(spec: Spec, row: dict, rate: float) -> str:
    """One subject measured alone.

    Args:
        spec (Spec): The subject.
        row (dict): From :func:`.measuring.measure`.
        rate (float): Operations per second of matrix products.
    """
    cells: List[object] = [
        short_name(spec.config), spec.task, spec.frames,
        'x'.join(map(str, spec.size)), spec.batch, spec.mode
    ]
    if 'error' in row:
        return table_row(cells + [row['error'][:60]], WIDTHS)
    cells += [f"{row['seconds']:.3f}", f"{row['peak_bytes'] / 2**30:.2f}"]
    if row['flops']:
        share = row['flops'] / row['seconds'] / rate
        cells += [f"{row['live_bytes'] / 2**30:.2f}",
                  f"{row['flops'] / 1e12:.3f}", f'{share:.1%}']
    return table_row(cells + ['-'] * (len(HEAD) - len(cells)), WIDTHS)


def parts_of(spec: Spec, row: dict) -> str:
    """Seconds of the parts of one subject, as an item of a list."""
    parts = ', '.join(f'{n} {s:.3f}' for n, s in row['parts'].items())
    size = 'x'.join(map(str, spec.size))
    return (f'- {short_name(spec.config)}, {spec.task}, {spec.frames} x '
            f'{size}, batch {spec.batch}, {spec.mode}: {parts}')


def head_of_counted() -> str:
    """Head of the table of steps that are not computed."""
    head = (*HEAD[:6], 'live GiB', 'states', 'TFLOP')
    return f'{table_row(head, WIDTHS)}\n{rule(WIDTHS[:len(head)])}'


def counted_row(spec: Spec, out: dict) -> str:
    """One step that is not computed."""
    return table_row((short_name(spec.config), spec.task, spec.frames,
                      'x'.join(map(str, spec.size)), spec.batch, spec.mode,
                      f"{out['live_bytes'] / 2**30:.2f}",
                      f"{out['state_bytes'] / 2**30:.2f}",
                      f"{out['flops'] / 1e12:.3f}"), WIDTHS)


def compared_table(specs: Sequence[Spec], out: dict, rounds: int) -> str:
    """Subjects that were measured in turn.

    Args:
        specs (Sequence[Spec]): Of one task and size.
        out (dict): From :func:`.measuring.compare`.
        rounds (int): How often each was measured.
    """
    first = specs[0]
    widths = (14, 14, 8, 6, 12)
    lines = [
        f'{first.task}, {first.frames} frames of {first.size[0]} x '
        f'{first.size[1]}, batch {first.batch}, in turn, median of {rounds}:',
        '',
        table_row(('config', 'mode', 's', 'ratio', 'outputs'), widths),
        rule(widths)
    ]
    for name, seconds in out['seconds'].items():
        config, mode = name.split(' ')
        difference = out['difference'].get(name)
        told = '-' if difference is None else f'{difference:.1e}'
        lines.append(
            table_row((short_name(config), mode, f'{seconds:.3f}',
                       f"{out['ratio'][name]:.3f}", told), widths))
    return '\n'.join(lines)


def loading_table(config: str, split: str, rows: Dict[str, float]) -> str:
    """Seconds of every transform of a pipeline."""
    total = sum(rows.values())
    widths = (24, 8, 6)
    lines = [
        f'loading, {short_name(config)}, {split}, one process:', '',
        table_row(('transform', 's', 'share'), widths),
        rule(widths)
    ]
    lines += [
        table_row((name, f'{seconds:.4f}', f'{seconds / total:.1%}'), widths)
        for name, seconds in [*rows.items(), ('all', total)]
    ]
    return '\n'.join(lines)

# Copyright (c) costa_mm authors. All rights reserved.
"""Where a training step spends its time, by PyTorch's profiler.

    python tools/analysis_tools/profile_step.py configs/costa_hcstvg.py \\
        --frames 65 --size 405x720 --mode tf32 bf16 bf16+cp --json step.json

The time of the device by kind of work (convolutions, attention, matrix
products, optimizer, ...), the operations that take most of it, and on a GPU
how long it had nothing to do and for what the host waited.  On a CPU it is
the time of the operations themselves.  Modes are those of benchmark.py; a
step includes clipping, the optimizer and the averaged weights, without the
hooks of a run.  Figures are written after each mode, and a run that was cut
off goes on where it was.
"""
import argparse
import re
import sys
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Tuple

import torch
from benchmark import Report, parse_mode, parse_size
from benchmarking.machine import Table, timed
from benchmarking.measuring import run_alone
from benchmarking.subjects import Spec, Subject
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from costa_mm.cli.running import run_main

#: Kinds of work, by the names of operations; the first that fits counts.
KINDS = (
    ('optimizer', r'fused_adam|_foreach_|Optimizer\.'),
    ('convolutions', r'conv'),
    ('attention', r'scaled_dot_product|flash|efficient_attention'),
    ('matrix products', r'::(addmm|mm|bmm|baddbmm|addbmm|linear|matmul|einsum)'
     r'|mkldnn_linear|gemm'),
    ('norms, softmax', r'norm|softmax'),
    ('copies, layout', r'copy|contiguous|clone|::cat|stack|fill_|zero|pad'
     r'|index|gather|scatter|select|slice|Memcpy|Memset'),
)
OTHER = 'other'
#: What a host calls to wait for the device, and to read a number from it.
WAITS = re.compile(r'Synchronize$|^aten::(_local_scalar_dense|nonzero)$')


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('config', help='config file')
    add('--mode', nargs='+', type=parse_mode, default=['bf16'])
    add('--frames', type=int, default=64, metavar='T')
    add('--size', type=parse_size, default=(224, 398), metavar='HxW')
    add('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    add('--rounds', type=int, default=2, help='steps that are profiled')
    add('--top', type=int, default=10, help='operations that are listed')
    add('--json', help='write the figures here as well')
    args = parser.parse_args(argv)
    if args.rounds < 1:
        parser.error('--rounds is not positive')
    if not Path(args.config).is_file():
        parser.error(f'there is no config file {args.config}')
    return args


def kind_of(name: str) -> str:
    """Kind of work of an operation."""
    return next((kind for kind, names in KINDS if re.search(names, name)),
                OTHER)


def operations(found: profile, on_gpu: bool,
               rounds: int) -> Iterator[Tuple[str, float, float]]:
    """Operations, with their own seconds on the device and calls of a step.

    A kernel counts for the operation that launched it.
    """
    for event in found.key_averages():
        if event.device_type != DeviceType.CPU:
            continue
        spent = event.self_device_time_total if on_gpu \
            else event.self_cpu_time_total
        yield event.key, spent / 1e6 / rounds, event.count / rounds


def waits(found: profile, rounds: int) -> Dict[str, List[float]]:
    """Calls by which the host waits, and their seconds, in a step."""
    return {
        event.key: [event.count / rounds,
                    event.self_cpu_time_total / 1e6 / rounds]
        for event in found.key_averages()
        if event.device_type == DeviceType.CPU and WAITS.search(event.key)
    }


def profile_step(spec: Spec, rounds: int, threads: int) -> dict:
    """Profile training steps; meant for a process of its own.

    Returns:
        dict: Of one step: 'seconds' (without the profiler), 'busy' (seconds
        of the device), 'kinds' and 'operations' (seconds by name, most
        first), 'waits'; or 'error'.
    """
    torch.set_num_threads(threads)
    on_gpu = spec.device.startswith('cuda')
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * on_gpu
    try:
        subject = Subject(spec)
        subject.run()  # makes the optimizer's states
        seconds = min(timed(subject.run, spec.device)[1]
                      for _ in range(rounds))
        with profile(activities=activities) as found:
            for _ in range(rounds):
                subject.run()
            timed(int, spec.device)  # until the device is done
    except (torch.OutOfMemoryError, MemoryError) as e:
        return dict(error=f'out of memory: {str(e)[:200]}')
    own = sorted(operations(found, on_gpu, rounds), key=lambda x: -x[1])
    kinds = dict.fromkeys([*(kind for kind, _ in KINDS), OTHER], 0.)
    for name, spent, _ in own:
        kinds[kind_of(name)] += spent
    return dict(
        seconds=seconds, busy=sum(kinds.values()), kinds=kinds,
        operations={name: [spent, calls] for name, spent, calls in own[:50]},
        waits=waits(found, rounds))


def print_profile(spec: Spec, out: dict, top: int) -> None:
    """Tables of one mode."""
    print(f'\n{" ".join(map(str, spec.cells))}, {spec.device}:\n')
    if 'error' in out:
        print(out['error'])
        return
    busy = out['busy']
    print(f"{out['seconds']:.3f} s for a step, of which the device works "
          f'{busy:.3f} s\n')
    table = Table(work=24, s=8, share=6)
    for kind, spent in out['kinds'].items():
        table.row(kind, f'{spent:.4f}', f'{spent / busy:.1%}')
    print()
    table = Table(operation=48, s=8, calls=7)
    for name, (spent, calls) in list(out['operations'].items())[:top]:
        table.row(name[:48], f'{spent:.4f}', f'{calls:.0f}')
    if not spec.device.startswith('cuda'):
        return
    idle = max(out['seconds'] - busy, 0.)
    print(f"\nThe device has nothing to do for {idle:.4f} s, "
          f"{idle / out['seconds']:.1%}; the host waits in\n")
    table = Table(call=32, calls=7, s=8)
    for name, (calls, spent) in out['waits'].items():
        table.row(name, f'{calls:.1f}', f'{spent:.4f}')


def main(argv: Optional[List[str]] = None) -> None:
    """Profile every mode, print and write."""
    args = parse_args(argv)
    report = Report(args.json, args.device)
    report.data.setdefault('profiles', {})
    for mode in args.mode:
        spec = Spec(args.config, mode, 'train', args.frames, args.size, 1,
                    args.device)
        out = report.get('profiles', spec.key, run_alone, profile_step, spec,
                         args.rounds, torch.get_num_threads())
        print_profile(spec, out, args.top)


if __name__ == '__main__':
    sys.exit(run_main(main))

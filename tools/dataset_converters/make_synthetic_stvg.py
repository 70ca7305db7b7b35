# Copyright (c) costa_mm authors. All rights reserved.
"""Make the synthetic benchmark: videos, sentences and exact tubes."""
import argparse
import sys

from costa_mm.cli.running import run_main
from costa_mm.synthetic import (LEVELS, Settings, format_report, load_report,
                                write_benchmark)


def parse_args(argv=None) -> argparse.Namespace:
    """Read the command line."""
    default = Settings()
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument('--out', required=True, help='folder to write')
    parser.add_argument('--num-train', type=int, default=4000)
    parser.add_argument('--num-val', type=int, default=200)
    parser.add_argument('--num-test', type=int, default=400)
    parser.add_argument('--level', choices=list(LEVELS), default=default.level)
    parser.add_argument('--seed', type=int, default=default.seed)
    parser.add_argument('--workers', type=int, default=2, help='processes')
    parser.add_argument(
        '--size', type=int, default=default.size, help='frame side in pixels')
    parser.add_argument(
        '--num-frames', type=int, default=default.num_frames, help='per video')
    parser.add_argument(
        '--fps', type=int, default=default.fps, help='frame rate')
    parser.add_argument(
        '--overwrite',
        action='store_true',
        help='replace a benchmark of other settings')
    return parser.parse_args(argv)


def main(argv=None) -> int:
    """Make a benchmark; 0 on success, 2 on a bad argument or folder."""
    args = parse_args(argv)
    try:
        settings = Settings(args.level, args.seed, args.size, args.num_frames,
                            args.fps)
        sizes = dict(
            train=args.num_train, val=args.num_val, test=args.num_test)
        made = write_benchmark(
            args.out,
            settings,
            sizes,
            num_workers=args.workers,
            overwrite=args.overwrite)
    except (ValueError, OSError) as e:
        print(f'error: {e}', file=sys.stderr)
        return 2
    if not made:
        print(f'{args.out} is complete and has these settings: reused')
    print(format_report(load_report(args.out)))
    return 0


if __name__ == '__main__':
    sys.exit(run_main(main))

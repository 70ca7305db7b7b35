# Copyright (c) costa_mm authors. All rights reserved.
"""Convert a split of HC-STVG v1 or v2 to the STVGDataset format."""
import argparse
import os
import sys

from costa_mm.cli.running import run_main
from costa_mm.datasets.conversion import convert_annotations


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('ann_file', help='train.json and the like')
    parser.add_argument('videos', help='folder of the videos')
    parser.add_argument('--out', required=True, help='.json or .json.gz')
    parser.add_argument(
        '--clip-seconds',
        type=float,
        default=20.0,
        help='clips of this length get the rate frames / seconds, others '
        'their own; 0 never does (default: 20)')
    parser.add_argument('--workers', type=int, default=os.cpu_count() or 1)
    return parser.parse_args()


def main() -> None:
    """Convert one split."""
    args = parse_args()
    convert_annotations(
        'HCSTVGDataset',
        args.ann_file,
        args.videos,
        args.out,
        args.workers,
        clip_seconds=args.clip_seconds or None)


if __name__ == '__main__':
    sys.exit(run_main(main))

# Copyright (c) costa_mm authors. All rights reserved.
"""Convert a split of VidSTG to the STVGDataset format."""
import argparse
import os
import sys

from costa_mm.cli.running import run_main
from costa_mm.datasets.conversion import convert_annotations


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('ann_file', help='train_annotations.json and so on')
    parser.add_argument('videos', help="folder of VidOR's videos")
    parser.add_argument('vidor', help="folder of VidOR's annotation files")
    parser.add_argument('--out', required=True, help='.json or .json.gz')
    parser.add_argument('--workers', type=int, default=os.cpu_count() or 1)
    return parser.parse_args()


def main() -> None:
    """Convert one split."""
    args = parse_args()
    convert_annotations(
        'VidSTGDataset',
        args.ann_file,
        args.videos,
        args.out,
        args.workers,
        data_prefix=dict(vidor=args.vidor))


if __name__ == '__main__':
    sys.exit(run_main(main))

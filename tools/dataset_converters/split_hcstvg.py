# Copyright (c) costa_mm authors. All rights reserved.
"""Hold a part of HC-STVG's training split back for validation.

HC-STVG v1 has a training and a test split only.  Clips of one source video
look alike, so all of them go to the same side: a video's side is a function
of the seed and its id.
"""
import argparse
import hashlib
import os
import re
import sys

from costa_mm.cli.running import run_main
from costa_mm.datasets.annotation_files import read_json
from costa_mm.utils.files import write_json

# '1_aMYcLyh9OhU', '10__Gvp-cj3bmIY': running number, one or two '_', and
# YouTube's id of 11 characters
_NAME = re.compile(r'^\d+_{1,2}?(.{11})$')


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description='Seeded validation split of HC-STVG by source video')
    parser.add_argument('ann_file', help='train.json as distributed')
    parser.add_argument(
        '--share', type=float, default=0.1, help='of videos to hold back')
    parser.add_argument('--seed', type=int, default=0)
    return parser.parse_args()


def source_video(name: str) -> str:
    """Id of the video that a clip was cut from.

    Args:
        name (str): Name of the clip; of another form, it is its own source.
    """
    stem = os.path.splitext(os.path.basename(name))[0]
    match = _NAME.match(stem)
    return match.group(1) if match else stem


def is_held_back(name: str, share: float, seed: int) -> bool:
    """Side of a clip; depends on nothing but seed and source video."""
    digest = hashlib.sha256(f'{seed}:{source_video(name)}'.encode()).digest()
    return int.from_bytes(digest[:8], 'big') / 2**64 < share


def main() -> None:
    """Write the two files beside the given one."""
    args = parse_args()
    if not 0 < args.share < 1:
        raise ValueError(f'--share is {args.share}, not between 0 and 1')
    data = read_json(args.ann_file)
    held = {k for k in data if is_held_back(k, args.share, args.seed)}
    if not held or len(held) == len(data):
        raise ValueError(f'one side would be empty: {len(held)} of '
                         f'{len(data)} clips held back; change --share')
    stem = os.path.splitext(args.ann_file)[0]
    for side, keep in (('part', False), ('holdout', True)):
        chosen = {k: v for k, v in data.items() if (k in held) == keep}
        path = f'{stem}_{side}.json'
        write_json(chosen, path)
        sources = {source_video(k) for k in chosen}
        print(f'{path}: {len(chosen)} clips of {len(sources)} videos')


if __name__ == '__main__':
    sys.exit(run_main(main))

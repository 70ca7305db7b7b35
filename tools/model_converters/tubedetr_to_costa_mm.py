# Copyright (c) costa_mm authors. All rights reserved.
"""Convert a published TubeDETR checkpoint to one of ours."""
import argparse

from costa_mm.engine.checkpoint_io import read_checkpoint, save_checkpoint_file
from costa_mm.models.utils.published_checkpoints import convert_checkpoint
from costa_mm.models.utils.published_names import TUBEDETR


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description='Convert a published TubeDETR checkpoint for '
        'configs/baselines/tubedetr_*.py')
    parser.add_argument('src', help='published checkpoint')
    parser.add_argument('dst', help='file to write')
    parser.add_argument(
        '--key',
        help="where the weights are in the file; by default 'model_ema', or "
        "'model' where there are no averages")
    return parser.parse_args()


def main() -> None:
    """Convert."""
    args = parse_args()
    out = convert_checkpoint(read_checkpoint(args.src), TUBEDETR, args.key)
    save_checkpoint_file(out.checkpoint, args.dst)
    print(f'{args.dst}: {len(out.checkpoint["state_dict"])} tensors from '
          f'{out.key!r}; left out as never used: {len(out.dropped)}')
    for name in out.dropped:
        print(f'  {name}')


if __name__ == '__main__':
    main()

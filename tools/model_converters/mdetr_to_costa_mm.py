# Copyright (c) costa_mm authors. All rights reserved.
"""Convert MDETR's pre-trained ResNet-101 to an initialisation of ours.

All three methods start from these weights.  What a method does not share with
MDETR (temporal layers, cross-attention over anchors, span heads) is not in
the result and keeps its own initialisation, so load it with ``load_from``.
"""
import argparse

from costa_mm.engine.checkpoint_io import read_checkpoint, save_checkpoint_file
from costa_mm.models.utils.published_checkpoints import convert_checkpoint
from costa_mm.models.utils.published_names import (MDETR_ANCHOR, MDETR_COSTA,
                                                   TUBEDETR)

RULES = dict(costa=MDETR_COSTA, stcat=MDETR_ANCHOR, tubedetr=TUBEDETR)


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description='Convert pretrained_resnet101_checkpoint.pth of MDETR')
    parser.add_argument('src', help='published checkpoint')
    parser.add_argument('dst', help='file to write')
    parser.add_argument(
        '--method',
        choices=sorted(RULES),
        default='costa',
        help='which model it is to initialise')
    parser.add_argument(
        '--key',
        help="where the weights are in the file; by default 'model_ema', or "
        "'model' where there are no averages")
    return parser.parse_args()


def main() -> None:
    """Convert."""
    args = parse_args()
    out = convert_checkpoint(
        read_checkpoint(args.src), RULES[args.method], args.key)
    save_checkpoint_file(out.checkpoint, args.dst)
    print(f'{args.dst}: {len(out.checkpoint["state_dict"])} tensors from '
          f'{out.key!r}; left out: {len(out.dropped)}')
    for name in out.dropped:
        print(f'  {name}')


if __name__ == '__main__':
    main()

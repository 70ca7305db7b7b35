# Copyright (c) costa_mm authors. All rights reserved.
"""Convert MDETR's pre-trained ResNet-101 to an initialisation of ours.

All three methods start from these weights.  What a method does not share with
MDETR (temporal layers, cross-attention over anchors, span heads) is not in
the result and keeps its own initialisation, so load it with ``load_from``.
"""
import sys

from published import convert, make_parser

from costa_mm.cli.running import run_main
from costa_mm.weights.published_names import (MDETR_ANCHOR, MDETR_COSTA,
                                              TUBEDETR)

RULES = dict(costa=MDETR_COSTA, stcat=MDETR_ANCHOR, tubedetr=TUBEDETR)


def main() -> None:
    """Convert."""
    parser = make_parser(
        'Convert pretrained_resnet101_checkpoint.pth of MDETR')
    parser.add_argument(
        '--method',
        choices=sorted(RULES),
        default='costa',
        help='which model it is to initialise')
    args = parser.parse_args()
    convert(args, RULES[args.method])


if __name__ == '__main__':
    sys.exit(run_main(main))

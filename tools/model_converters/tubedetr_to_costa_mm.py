# Copyright (c) costa_mm authors. All rights reserved.
"""Convert a published TubeDETR checkpoint to one of ours."""
import sys

from published import convert, make_parser

from costa_mm.cli.running import run_main
from costa_mm.weights.published_names import TUBEDETR


def main() -> None:
    """Convert."""
    parser = make_parser('Convert a published TubeDETR checkpoint for '
                         'configs/baselines/tubedetr_*.py')
    convert(parser.parse_args(), TUBEDETR)


if __name__ == '__main__':
    sys.exit(run_main(main))

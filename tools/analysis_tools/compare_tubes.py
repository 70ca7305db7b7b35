# Copyright (c) costa_mm authors. All rights reserved.
"""Compare two files of predicted tubes sample by sample."""
import argparse
import sys

from costa_mm.cli.running import run_main
from costa_mm.evaluation import (PROTOCOLS, compare_records, comparison_table,
                                 evaluate_tubes)
from costa_mm.structures import load_tubes
from costa_mm.utils import write_json


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Print the means of both and the samples that changed '
        'most from FIRST to SECOND.')
    parser.add_argument('first', help='tube file with predictions')
    parser.add_argument('second', help='tube file with other predictions')
    parser.add_argument('gt', help='tube file with the ground truth')
    parser.add_argument(
        '--protocol', default='paper', choices=list(PROTOCOLS))
    parser.add_argument(
        '--sort-by',
        default='viou',
        choices=['viou', 'tiou', 'siou'],
        help='score whose change ranks the samples (default: viou)')
    parser.add_argument(
        '--top',
        type=int,
        default=20,
        help='samples to print, 0 for all (default: 20)')
    parser.add_argument('--json', metavar='OUT', help='write all samples')
    parser.add_argument(
        '--missing',
        default='error',
        choices=['error', 'zero'],
        help='samples without a prediction: stop (default) or score 0')
    parser.add_argument(
        '--extra', default='error', choices=['error', 'ignore'])
    parser.add_argument(
        '--missing-boxes', default='raise', choices=['raise', 'zero'])
    return parser.parse_args()


def compare(args: argparse.Namespace) -> dict:
    """Evaluate both files and compare them."""
    gts = load_tubes(args.gt)
    evaluations = []
    for path in (args.first, args.second):
        try:
            evaluations.append(
                evaluate_tubes(
                    load_tubes(path),
                    gts,
                    args.protocol,
                    missing=args.missing,
                    extra=args.extra,
                    missing_boxes=args.missing_boxes))
        except ValueError as e:
            raise ValueError(f'{path}: {e}') from e
    return compare_records(*evaluations, args.protocol, args.sort_by)


def main() -> None:
    """Compare and print."""
    args = parse_args()
    result = compare(args)
    for name, values in result['mean'].items():
        print(f'{name}: {values["first"]:.6f} -> {values["second"]:.6f} '
              f'({values["change"]:+.6f})')
    low, high = result['interval']
    print(f'change of mean {args.sort_by}: 95 % of paired bootstrap resamples '
          f'in [{low:+.6f}, {high:+.6f}]')
    print(f'{args.sort_by}: {result["better"]} samples better, '
          f'{result["worse"]} worse, {result["same"]} same')
    print()
    print(comparison_table(result, args.top or None))
    if args.json:
        write_json(result, args.json, indent=1)


if __name__ == '__main__':
    sys.exit(run_main(main))

# Copyright (c) costa_mm authors. All rights reserved.
"""Score a file of predicted tubes against a file of true ones."""
import argparse
import json
import os
import sys

from costa_mm.evaluation import (PROTOCOLS, evaluate_tubes, evaluation_report,
                                 factor_table, metric_lines)
from costa_mm.structures import load_tubes


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Print one "name: value" line per metric (fractions).')
    parser.add_argument('pred', help='tube file with predictions')
    parser.add_argument('gt', help='tube file with the ground truth')
    parser.add_argument(
        '--protocol',
        default='paper',
        choices=list(PROTOCOLS),
        help='whose evaluator to reproduce (default: paper)')
    parser.add_argument(
        '--json', metavar='OUT', help='write means and every sample there')
    parser.add_argument(
        '--missing',
        default='error',
        choices=['error', 'zero', 'skip'],
        help='samples without a prediction: stop (default), score 0 as in '
        'the HC-STVG challenge, or leave out as STCAT does')
    parser.add_argument(
        '--extra',
        default='error',
        choices=['error', 'ignore'],
        help='predictions without a ground truth (default: stop)')
    parser.add_argument(
        '--missing-boxes',
        default='raise',
        choices=['raise', 'zero'],
        help='true frames without a predicted box: stop (default) or IoU 0')
    parser.add_argument(
        '--per-factor',
        action='store_true',
        help='print a table of scores per factor to stderr')
    return parser.parse_args()


def main() -> None:
    """Evaluate and print."""
    args = parse_args()
    try:
        records = evaluate_tubes(
            load_tubes(args.pred),
            load_tubes(args.gt),
            args.protocol,
            missing=args.missing,
            extra=args.extra,
            missing_boxes=args.missing_boxes)
    except (ValueError, OSError) as e:
        sys.exit(f'eval_tubes: {e}')
    print(
        f'protocol {args.protocol}: {PROTOCOLS[args.protocol].note}; '
        f'{len(records)} samples',
        file=sys.stderr)
    for name, value in metric_lines(records, args.protocol).items():
        print(f'{name}: {value:.6f}')
    if args.per_factor:
        print(factor_table(records, args.protocol), file=sys.stderr)
    if args.json:
        os.makedirs(
            os.path.dirname(os.path.abspath(args.json)), exist_ok=True)
        with open(args.json, 'w', encoding='utf-8') as f:
            json.dump(evaluation_report(records, args.protocol), f, indent=1)


if __name__ == '__main__':
    main()

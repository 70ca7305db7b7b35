# Copyright (c) costa_mm authors. All rights reserved.
"""Score a file of predicted tubes against a file of true ones."""
import argparse
import sys

from mmengine.utils import import_modules_from_strings

from costa_mm.cli.running import run_main
from costa_mm.evaluation import (PROTOCOLS, evaluate_tubes, evaluation_report,
                                 factor_table, metric_lines)
from costa_mm.evaluation.protocols import get_protocols
from costa_mm.structures import load_tubes
from costa_mm.utils import write_json


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Print one "name: value" line per metric (fractions).')
    parser.add_argument('pred', help='tube file with predictions')
    parser.add_argument('gt', help='tube file with the ground truth')
    parser.add_argument(
        '--protocol',
        action='append',
        metavar='NAME',
        help=f'whose evaluator to reproduce: {", ".join(PROTOCOLS)}, or '
        'another registered one (default: paper); give it several times for '
        'several: scores of the first have plain names, further ones carry '
        "the protocol's")
    parser.add_argument(
        '--thresholds',
        type=float,
        nargs='+',
        metavar='R',
        help='of vIoU@R (default: those of the protocol)')
    parser.add_argument(
        '--custom-imports',
        action='append',
        metavar='MODULE',
        help='module to import first, which registers a protocol')
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


def run(args: argparse.Namespace) -> None:
    """Evaluate and print."""
    import_modules_from_strings(args.custom_imports)
    options = {} if args.thresholds is None else dict(
        thresholds=args.thresholds)
    protocols = get_protocols([
        dict(type=name, **options) for name in args.protocol or ['paper']
    ])
    records = evaluate_tubes(
        load_tubes(args.pred),
        load_tubes(args.gt),
        protocols,
        missing=args.missing,
        extra=args.extra,
        missing_boxes=args.missing_boxes)
    for protocol in protocols:
        print(
            f'protocol {protocol.name}: {protocol.note}; '
            f'{len(records)} samples',
            file=sys.stderr)
    for name, value in metric_lines(records, protocols).items():
        print(f'{name}: {value:.6f}')
    if args.per_factor:
        print(factor_table(records, protocols[0]), file=sys.stderr)
    if args.json:
        write_json(evaluation_report(records, protocols), args.json, indent=1)


def main() -> None:
    """Evaluate what the command line says."""
    run(parse_args())


if __name__ == '__main__':
    sys.exit(run_main(main))

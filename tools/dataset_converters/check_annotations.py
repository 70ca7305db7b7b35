# Copyright (c) costa_mm authors. All rights reserved.
"""Say what is wrong with an annotation file, where, and how to mend it."""
import argparse
import sys
from collections import Counter

from costa_mm.datasets import PyAVReader
from costa_mm.datasets.validation import check_annotations


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('ann_file', help='own, HC-STVG or VidSTG format')
    parser.add_argument('--videos', help='folder of the videos')
    parser.add_argument(
        '--open',
        action='store_true',
        help='open every video and compare it with the annotation')
    parser.add_argument(
        '--max-shown', type=int, default=50, help='problems to print')
    return parser.parse_args()


def main() -> int:
    """Check the file; the exit status is 1 if it has errors."""
    args = parse_args()
    if args.open and args.videos is None:
        sys.exit('--open needs --videos DIR')
    try:
        report = check_annotations(args.ann_file, args.videos,
                                   PyAVReader() if args.open else None)
    except (ValueError, FileNotFoundError) as e:
        print(f'error: {e}')
        return 1
    for problem in report.problems[:args.max_shown]:
        print(problem)
    if len(report.problems) > args.max_shown:
        print(f'... and {len(report.problems) - args.max_shown} more:')
        for (level, what), n in Counter(
            (p.level, p.what) for p in report.problems).most_common(20):
            print(f'  {n} x {level}: {what}')
    warnings = len(report.problems) - report.num_errors
    print(f'{args.ann_file}: {report.kind} format, {report.num_sentences} '
          f'sentences, {report.num_errors} errors, {warnings} warnings')
    return int(report.num_errors > 0)


if __name__ == '__main__':
    sys.exit(main())

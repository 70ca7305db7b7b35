# Copyright (c) costa_mm authors. All rights reserved.
"""Say what is wrong with an annotation file, where, and how to fix it."""
import argparse
import sys
from collections import Counter

from mmengine.config import DictAction
from mmengine.utils import import_modules_from_strings

from costa_mm.cli.running import run_main
from costa_mm.datasets import PyAVReader
from costa_mm.datasets.validation import Report, check_annotations


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('ann_file', help='annotation file')
    parser.add_argument('--videos', help='folder of the videos')
    parser.add_argument(
        '--open',
        action='store_true',
        help='open every video and compare it with the annotation')
    parser.add_argument(
        '--dataset-type',
        help='class of the dataset (default: the one whose format it is)')
    parser.add_argument(
        '--options',
        nargs='+',
        action=DictAction,
        default={},
        metavar='KEY=VALUE',
        help='arguments of the class, such as test_mode=True for a split '
        'that is only tested or data_prefix.vidor=FOLDER')
    parser.add_argument(
        '--custom-imports',
        nargs='+',
        default=[],
        metavar='MODULE',
        help='modules that register your classes')
    parser.add_argument(
        '--max-shown', type=int, default=50, help='problems to print')
    args = parser.parse_args()
    if args.open and args.videos is None:
        parser.error('--open needs --videos DIR')
    return args


def show(report: Report, ann_file: str, max_shown: int) -> None:
    """Print the problems, errors first, one per line, and a summary."""
    problems = sorted(report.problems, key=lambda p: p.level != 'error')
    for problem in problems[:max_shown]:
        print(f'{problem.level}: {problem}')
    hidden = problems[max_shown:]
    if hidden:
        print(f'... and {len(hidden)} more; all together:')
        for (level, reason), n in Counter(
            (p.level, p.reason) for p in report.problems).most_common(20):
            print(f'  {n} x {level}: {reason}')
    print(f'{ann_file}: {report.dataset_type}, {report.num_sentences} '
          f'sentences, {report.num_errors} errors, '
          f'{report.count("skipped")} skipped, '
          f'{report.count("warning")} warnings')


def main() -> int:
    """Check the file; the exit status is 1 if the dataset refuses it."""
    args = parse_args()
    import_modules_from_strings(args.custom_imports)
    try:
        report = check_annotations(
            args.ann_file,
            args.videos,
            PyAVReader() if args.open else None,
            dataset_type=args.dataset_type,
            **args.options)
    except (ValueError, FileNotFoundError, KeyError) as e:
        print(f'error: {e.args[0] if isinstance(e, KeyError) else e}')
        return 1
    show(report, args.ann_file, args.max_shown)
    return int(report.num_errors > 0)


if __name__ == '__main__':
    sys.exit(run_main(main))

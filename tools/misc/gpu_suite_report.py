# Copyright (c) costa_mm authors. All rights reserved.
"""Tables from what tools/gpu_suite.sh has written."""
import argparse
import json
import os
import sys
from xml.etree import ElementTree

from costa_mm.cli.running import run_main


def parse_args(argv=None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--folder', help='print the tables of this folder')
    parser.add_argument('--tests', help="turn pytest's XML report ...")
    parser.add_argument('--json', help='... into this file')
    args = parser.parse_args(argv)
    if bool(args.folder) == bool(args.tests):
        parser.error('give --folder, or --tests and --json')
    if args.tests and not args.json:
        parser.error('--tests needs --json')
    return args


def count_tests(path: str) -> dict:
    """Numbers of tests by outcome, and what failed or was skipped."""
    suite = ElementTree.parse(path).getroot().find('testsuite')
    out = {k: int(suite.get(k))
           for k in ('tests', 'failures', 'errors', 'skipped')}
    out['seconds'] = float(suite.get('time'))
    out['not_passed'] = [
        f"{case.get('classname')}::{case.get('name')}: {child.tag}"
        for case in suite.iter('testcase') for child in case
        if child.tag in ('failure', 'error', 'skipped')
    ]
    return out


def rows_of(report: dict) -> list:
    """Lines of a Markdown table from a file of benchmark.py."""
    lines = ['| what | s | peak GiB | live GiB | of matrix rate |',
             '|---|---|---|---|---|']
    for key, row in report['rows'].items():
        if 'error' in row:
            lines.append(f"| {key} | {row['error'][:60]} | | | |")
            continue
        # the key begins: config mode
        rate = report['matmul'].get(key.split()[1].split('+')[0])
        live = share = ''
        if row.get('flops'):
            live = f"{row['live_bytes'] / 2**30:.2f}"
            share = f"{row['flops'] / row['seconds'] / rate:.1%}"
        lines.append(f"| {key} | {row['seconds']:.3f} | "
                     f"{row['peak_bytes'] / 2**30:.2f} | {live} | {share} |")
    for key, out in report['compared'].items():
        lines += ['', f"in turn: {key.split(' | ')[0].split(' ', 2)[2]}", '',
                  '| what | s | ratio |', '|---|---|---|']
        lines += [f"| {name} | {seconds:.3f} | {out['ratio'][name]:.3f} |"
                  for name, seconds in out['seconds'].items()]
    return lines


def profiles_of(report: dict) -> list:
    """Lines of a Markdown table from a file of profile_step.py."""
    profiles = {key: out for key, out in report['profiles'].items()
                if 'error' not in out}
    kinds = list(next(iter(profiles.values()), dict(kinds={}))['kinds'])
    lines = ['| what | s | busy | ' + ' | '.join(kinds) + ' |',
             '|---' * (3 + len(kinds)) + '|']
    for key, out in report['profiles'].items():
        if 'error' in out:
            lines.append(f"| {key} | {out['error'][:60]} |")
            continue
        shares = [f"{out['kinds'][kind] / out['busy']:.1%}" for kind in kinds]
        lines.append(f"| {key} | {out['seconds']:.3f} | {out['busy']:.3f} | " +
                     ' | '.join(shares) + ' |')
    return lines


def print_folder(folder: str) -> None:
    """Everything that is there."""
    for name in sorted(os.listdir(folder)):
        if not name.endswith('.json'):
            continue
        with open(os.path.join(folder, name), encoding='utf-8') as f:
            report = json.load(f)
        print(f'\n## {name[:-len(".json")]}\n')
        if report.get('profiles'):
            print('\n'.join(profiles_of(report)))
        elif 'rows' in report and 'matmul' in report:
            print('\n'.join(rows_of(report)))
        elif 'summary' in report:
            print(json.dumps(report['summary']))
        else:
            print(json.dumps(report, indent=1))


def main(argv=None) -> None:
    """Print tables, or write the outcome of tests."""
    args = parse_args(argv)
    if args.folder:
        print_folder(args.folder)
        return
    with open(args.json, 'w', encoding='utf-8') as f:
        json.dump(count_tests(args.tests), f, indent=1)


if __name__ == '__main__':
    sys.exit(run_main(main))

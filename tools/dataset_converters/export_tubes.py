# Copyright (c) costa_mm authors. All rights reserved.
"""Write results of the inferencer in a form that other programs read.

    python tools/dataset_converters/export_tubes.py outputs/tubes.json
        --format cvat_video --out for_cvat
"""
import argparse
import sys

from mmengine.utils import import_modules_from_strings

from costa_mm.apis import load_results, write_results
from costa_mm.cli.running import run_main
from costa_mm.evaluation import RESULT_FORMATS


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('tubes', help='tubes.json of the inferencer')
    parser.add_argument(
        '--format', required=True, metavar='NAME',
        help=f'{", ".join(RESULT_FORMATS.module_dict)}, or another registered '
        'one')
    parser.add_argument('--out', required=True,
                        help='file, or folder of a form of several files')
    parser.add_argument(
        '--custom-imports', nargs='+', default=[], metavar='MODULE',
        help='modules that register your formats')
    return parser.parse_args()


def main() -> None:
    """Export what the command line says."""
    args = parse_args()
    import_modules_from_strings(args.custom_imports)
    results = load_results(args.tubes)
    written = write_results(results, args.out, args.format)
    print(f'{written} sentences written to {args.out} ({args.format}); '
          f'{len(results) - written} that were not found are left out')


if __name__ == '__main__':
    sys.exit(run_main(main))

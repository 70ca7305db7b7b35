# Copyright (c) costa_mm authors. All rights reserved.
"""Write one HTML file that shows a folder of results, without network.

    python tools/misc/html_report.py outputs
"""
import argparse
import sys

from costa_mm.apis import write_report
from costa_mm.cli.running import run_main


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', help='out_dir of the inferencer')
    parser.add_argument('--out', help='the page (default: report.html there)')
    parser.add_argument('--title', help="heading (default: the folder's name)")
    parser.add_argument(
        '--max-megabytes', type=float, default=300.0,
        help='videos are in the page as long as they have no more together; '
        'further ones are linked (default: 300)')
    return parser.parse_args()


def main() -> None:
    """Write the page."""
    args = parse_args()
    report = write_report(args.folder, args.out, title=args.title,
                          max_megabytes=args.max_megabytes)
    print(f'{report.path}: {report.embedded} videos in the page, '
          f'{report.linked} linked')


if __name__ == '__main__':
    sys.exit(run_main(main))

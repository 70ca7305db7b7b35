# Copyright (c) costa_mm authors. All rights reserved.
"""Cut the events that the inferencer found out of their videos.

    python tools/misc/cut_events.py outputs/tubes.json --out-dir clips
"""
import argparse
import sys

from costa_mm.apis import cut_events, load_results
from costa_mm.cli.running import run_main


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('tubes', help='tubes.json of the inferencer')
    parser.add_argument('--out-dir', required=True,
                        help='folder for a clip per sentence, SAMPLE.mp4')
    parser.add_argument('--margin', type=float, default=0.0, metavar='SECONDS',
                        help='shown before and after the event (default: 0)')
    parser.add_argument('--draw', action='store_true', help='draw the tube')
    return parser.parse_args()


def main() -> None:
    """Cut what the command line says."""
    args = parse_args()
    files = cut_events(load_results(args.tubes), args.out_dir,
                       margin=args.margin, draw=args.draw)
    print('written:', *files, sep='\n  ')


if __name__ == '__main__':
    sys.exit(run_main(main))

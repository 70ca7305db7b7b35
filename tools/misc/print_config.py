# Copyright (c) costa_mm authors. All rights reserved.
"""Print a whole config: bases and overrides merged."""
import argparse
import sys

from mmengine.config import DictAction

from costa_mm.cli.running import run_main
from costa_mm.engine.config import read_config


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description='Print a whole config')
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='override settings of the config')
    parser.add_argument('--save-path', help='write it to this file as well')
    return parser.parse_args()


def main() -> None:
    """Print."""
    args = parse_args()
    cfg = read_config(args.config, options=args.cfg_options)
    print(cfg.pretty_text)
    if args.save_path is not None:
        cfg.dump(args.save_path)


if __name__ == '__main__':
    sys.exit(run_main(main))

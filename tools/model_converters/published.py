# Copyright (c) costa_mm authors. All rights reserved.
"""What the converters of published checkpoints share."""
import argparse

from costa_mm.engine.checkpoint_io import save_checkpoint_file
from costa_mm.weights import load_file
from costa_mm.weights.published_checkpoints import convert_checkpoint
from costa_mm.weights.published_names import Rules


def make_parser(description: str) -> argparse.ArgumentParser:
    """Command line of a converter: source, destination, key."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('src', help='published checkpoint')
    parser.add_argument('dst', help='file to write')
    parser.add_argument(
        '--key',
        help="where the weights are in the file; by default 'model_ema', or "
        "'model' where there are no averages")
    return parser


def convert(args: argparse.Namespace, rules: Rules) -> None:
    """Convert a checkpoint and tell what was left out.

    Args:
        args (argparse.Namespace): ``src``, ``dst`` and ``key``.
        rules (Sequence[tuple]): One of the tables of
            ``costa_mm.weights.published_names``.
    """
    out = convert_checkpoint(load_file(args.src), rules, args.key)
    save_checkpoint_file(out.checkpoint, args.dst)
    print(f'{args.dst}: {len(out.checkpoint["state_dict"])} tensors from '
          f'{out.key!r}; left out as never used: {len(out.dropped)}')
    for name in out.dropped:
        print(f'  {name}')

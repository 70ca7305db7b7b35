# Copyright (c) costa_mm authors. All rights reserved.
"""``costa-mm models``: what can be asked for by name."""
import argparse
from typing import List, Optional

from costa_mm.weights.cache import cached_path
from costa_mm.weights.zoo import ZooEntry, list_models


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        'costa-mm models', description='List models by name.')
    parser.add_argument('pattern', nargs='?', default='',
                        help='part of a name')
    parser.add_argument('--all', action='store_true',
                        help='also configs that have no weights')
    return parser.parse_args(argv)


def weights_state(entry: ZooEntry) -> str:
    """Where a model's weights are."""
    if entry.source is not None:
        if cached_path(entry.source):
            return 'here'
        size = entry.source.size or 'size not published'
        return f'fetched when asked for ({size})' if entry.source.url \
            else 'by hand, from a web page'
    return 'here' if entry.present_weights else 'none'


def main(argv: Optional[List[str]] = None) -> int:
    """Print the list."""
    args = parse_args(argv)
    shown = [
        entry for entry in list_models()
        if args.pattern in entry.name and (
            args.all or weights_state(entry) != 'none')
    ]
    if not shown:
        print(f'no model of the name {args.pattern!r} has weights; '
              '--all lists configs too')
        return 1
    width = max(len(entry.name) for entry in shown)
    for entry in shown:
        state = weights_state(entry)
        data = 'for' if state == 'none' else 'trained on'
        print(f'{entry.name:{width}}  weights: {state}'
              f'{f"; {data} {entry.data}" if entry.data else ""}')
        if entry.notice:
            print(f'{"":{width}}  {entry.notice}')
    return 0

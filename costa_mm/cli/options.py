# Copyright (c) costa_mm authors. All rights reserved.
"""Options that were renamed."""
import argparse
import sys


class RenamedOption(argparse.Action):
    """An old name of an option: it works, with a notice.

    Example:
        >>> parser.add_argument('--pred-score-thr', type=float)
        >>> parser.add_argument('--score-thr', type=float,
        ...                     dest='pred_score_thr', action=RenamedOption)
    """

    def __init__(self, *args, **kwargs) -> None:
        kwargs.update(help=argparse.SUPPRESS, default=argparse.SUPPRESS)
        super().__init__(*args, **kwargs)

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        """Set the new option and say its name."""
        new = '--' + self.dest.replace('_', '-')
        print(f'{option_string} is called {new} now', file=sys.stderr)
        setattr(namespace, self.dest, values)

# Copyright (c) costa_mm authors. All rights reserved.
"""MMEngine lays out the text of a config once, not four times a run.

A short training spends a third of its time in yapf: the log, the dump, the
visualizer and the checkpoints each lay out the same text.  The layout depends
on nothing else, so what was laid out is kept; the same holds for MMEngine's
description of the machine, for which it starts a compiler.
"""
from functools import lru_cache

import mmengine.config.config as config
import mmengine.runner.runner as runner

_KEPT = '_layout_is_kept'


def keep_layouts() -> None:
    """Keep layouts of configs and the machine's description in a process."""
    if hasattr(config, _KEPT):
        return
    lay_out = config.FormatCode

    @lru_cache(maxsize=256)
    def kept(text: str, style: tuple, options: tuple):
        return lay_out(text, style_config=dict(style), **dict(options))

    def format_code(text: str, style_config: dict, **options):
        return kept(text, tuple(style_config.items()),
                    tuple(options.items()))

    described = lru_cache(runner.collect_env)
    config.FormatCode = format_code
    runner.collect_env = lambda: dict(described())
    setattr(config, _KEPT, True)

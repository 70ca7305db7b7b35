# Copyright (c) costa_mm authors. All rights reserved.
"""Ground sentences in videos; the same as the command ``costa-mm ground``.

    python demo/stvg_demo.py VIDEO "SENTENCE" ["SENTENCE" ...]
        --model NAME_OR_CONFIG --weights WEIGHTS --out-dir DIR
"""
import sys

from costa_mm.cli.ground import main, parse_args, run  # noqa: F401

if __name__ == '__main__':
    sys.exit(main())

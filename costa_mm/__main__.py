# Copyright (c) costa_mm authors. All rights reserved.
"""``python -m costa_mm`` is the command ``costa-mm``."""
import sys

from costa_mm.cli import main

if __name__ == '__main__':
    sys.exit(main())

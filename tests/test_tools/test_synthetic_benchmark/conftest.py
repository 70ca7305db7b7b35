# Copyright (c) costa_mm authors. All rights reserved.
"""The package of tools/run_benchmark.py can be imported."""
import sys
from pathlib import Path

TOOLS = str(Path(__file__).resolve().parents[3] / 'tools')
if TOOLS not in sys.path:
    sys.path.append(TOOLS)

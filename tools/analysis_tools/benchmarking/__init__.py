# Copyright (c) costa_mm authors. All rights reserved.
"""Parts of ``tools/analysis_tools/benchmark.py``."""

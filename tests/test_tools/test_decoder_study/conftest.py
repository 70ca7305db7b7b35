# Copyright (c) costa_mm authors. All rights reserved.
"""Puts ``decoder_study`` and both tools on the path."""
import sys
from pathlib import Path

TOOLS = Path(__file__).resolve().parents[3] / 'tools'
for folder in (TOOLS, TOOLS / 'analysis_tools'):
    if str(folder) not in sys.path:
        sys.path.append(str(folder))

# Copyright (c) costa_mm authors. All rights reserved.
"""Sphinx: `pip install -r requirements/docs.txt`, then `make -C docs/en`."""
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

project = 'costa_mm'
author = 'costa_mm authors'
copyright = '2026, costa_mm authors'
# Read, not imported: the docs build without PyTorch.
release = re.search(r"__version__ = '([^']+)'",
                    (ROOT / 'costa_mm' / 'version.py').read_text()).group(1)

extensions = ['myst_parser']
source_suffix = {'.md': 'markdown'}
exclude_patterns = ['_build']
myst_enable_extensions = ['colon_fence', 'dollarmath', 'fieldlist']
myst_heading_anchors = 3

html_theme = 'alabaster'
html_theme_options = dict(
    description='spatio-temporal video grounding', page_width='1080px',
    sidebar_width='240px')

# Copyright (c) costa_mm authors. All rights reserved.
"""OpenMMLab-style toolbox for spatio-temporal video grounding.

Importing it checks the packages below and imports none of them: the command
``costa-mm`` answers at once.
"""
from .compat import wait_without_spinning
from .dependencies import check_dependencies
from .version import __version__, version_info

check_dependencies()
wait_without_spinning()

__all__ = ['__version__', 'version_info']

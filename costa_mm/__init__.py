# Copyright (c) costa_mm authors. All rights reserved.
"""OpenMMLab-style toolbox for spatio-temporal video grounding."""
from . import compat
from .version import __version__, version_info

compat.check_dependencies()
compat.apply()

from . import registry  # noqa: E402,F401  isort:skip

__all__ = ['__version__', 'version_info']

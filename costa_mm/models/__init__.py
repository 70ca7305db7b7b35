# Copyright (c) costa_mm authors. All rights reserved.
"""Everything with weights, and what prepares its input."""
from costa_mm import compat

# mmdet's and mmaction2's parts are borrowed below by class and by prefix
compat.import_mmdet_models()
compat.import_mmaction_models()

from .backbones import *  # noqa: E402,F401,F403
from .data_preprocessors import *  # noqa: E402,F401,F403
from .grounders import *  # noqa: E402,F401,F403
from .heads import *  # noqa: E402,F401,F403
from .losses import *  # noqa: E402,F401,F403
from .necks import *  # noqa: E402,F401,F403
from .text_encoders import *  # noqa: E402,F401,F403

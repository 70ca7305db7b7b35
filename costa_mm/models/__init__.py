# Copyright (c) costa_mm authors. All rights reserved.
"""Everything with weights, and what prepares its input."""
from mmengine.runner import CheckpointLoader

from costa_mm import compat
from costa_mm.late_imports import quick_imports
from costa_mm.utils.packages import PACKAGE
from costa_mm.weights import SCHEME, load_by_name

with quick_imports():
    # mmdet's and mmaction2's parts are borrowed below by class and by prefix
    compat.import_mmdet_models()
    compat.import_mmaction_models()

    from .backbones import *  # noqa: F401,F403
    from .data_preprocessors import *  # noqa: F401,F403
    from .grounders import *  # noqa: F401,F403
    from .heads import *  # noqa: F401,F403
    from .losses import *  # noqa: F401,F403
    from .necks import *  # noqa: F401,F403
    from .text_encoders import *  # noqa: F401,F403

# init_cfg=dict(type='Pretrained', checkpoint='costa_mm://NAME'), or a file of
# an installed package
CheckpointLoader.register_scheme((SCHEME, PACKAGE), load_by_name, force=True)

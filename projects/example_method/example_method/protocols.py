# Copyright (c) costa_mm authors. All rights reserved.
"""An evaluation protocol."""
import numpy as np

from costa_mm.evaluation import BaseProtocol
from costa_mm.registry import EVAL_PROTOCOLS
from costa_mm.structures import Tube


@EVAL_PROTOCOLS.register_module()
class EveryThirdFrame(BaseProtocol):
    """Only every third frame counts, from the first one."""

    note = 'every third frame'

    def grid_frames(self, gt: Tube) -> np.ndarray:
        """The frames that count."""
        return np.arange(0, gt.num_frames, 3)

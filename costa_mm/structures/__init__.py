# Copyright (c) costa_mm authors. All rights reserved.
"""What passes between the parts: tubes, data samples and named tuples."""
from .data_sample import TubeDataSample
from .epoch_index import EpochIndex
from .proposals import (OtherVideoError, TubeProposals, load_proposals,
                        proposal_path)
from .stages import (AttentionMaps, FusedMemory, TextFeatures, TubeOutputs,
                     VideoBatch, VisualFeatures)
from .tube import Tube, dump_tubes, load_tubes

__all__ = [
    'AttentionMaps', 'EpochIndex', 'FusedMemory', 'OtherVideoError',
    'TextFeatures', 'Tube', 'TubeDataSample', 'TubeOutputs', 'TubeProposals',
    'VideoBatch', 'VisualFeatures', 'dump_tubes', 'load_proposals',
    'load_tubes', 'proposal_path'
]

# Copyright (c) costa_mm authors. All rights reserved.
"""Tubes that were proposed for a video."""
import os
from typing import Optional

import numpy as np

from costa_mm.registry import PROPOSALS, TRANSFORMS
from costa_mm.structures import (OtherVideoError, TubeProposals,
                                 load_proposals, proposal_path)
from .base import ClipTransform

TAIL_TOLERANCE = 3  # frames that an annotation may count differently


@TRANSFORMS.register_module()
class LoadTubeProposals(ClipTransform):
    """The proposals of a video on the sampled frames.

    They belong to the video and follow its frames through every later flip,
    crop and resize; ``PackSTVGInputs(video_keys=('tubes', 'tube_scores'))``
    gives them to the model.

    Required Keys:

    - video_path
    - frame_ids
    - img_shape
    - num_frames
    - sentence, sentences (a proposer that looks for words)

    Modified Keys:

    - tubes, tube_scores, tube_mask
    - tube_labels

    Args:
        root (str, optional): Folder that ``tools/propose_tubes.py`` has
            written.
        max_tubes (int): The best so many are taken.
        proposer (dict, optional): A ``TubeProposer`` for videos that have no
            file there, or only one of another video of their name.

    Raises:
        FileNotFoundError: If a video has no proposals and there is no
            proposer.
        ValueError: If they are of another video.
    """

    def __init__(self,
                 *,
                 root: Optional[str] = None,
                 max_tubes: int = 20,
                 proposer: Optional[dict] = None) -> None:
        if root is None and proposer is None:
            raise ValueError('give root, a folder of proposals, or proposer')
        self.root = root
        self.max_tubes = max_tubes
        self.proposer = PROPOSALS.build(proposer) if isinstance(
            proposer, dict) else proposer

    def find(self, results: dict) -> TubeProposals:
        """The proposals of a sample's video."""
        video = results['video_path']
        path = proposal_path(self.root or '', video)
        if self.proposer is None:
            return load_proposals(path, video)
        if self.root and os.path.isfile(path):
            try:
                return load_proposals(path, video)
            except OtherVideoError:
                pass
        return self.proposer.propose(
            video, results.get('sentences') or [results['sentence']])

    def transform(self, results: dict) -> dict:
        """Add ``tubes`` (T, P, 4), in pixels, and ``tube_scores`` (T, P)."""
        proposals = self.find(results)
        height, width = results['img_shape']
        own = proposals.size
        if abs(proposals.num_frames - results['num_frames']) > TAIL_TOLERANCE:
            raise ValueError(
                f"the proposals for {results['video_path']} are of a video of "
                f'{proposals.num_frames} frames, and it has '
                f"{results['num_frames']}: one folder per split, where names "
                'repeat')
        if abs(own[0] * height - own[1] * width) > max(own):
            raise ValueError(
                f"the proposals for {results['video_path']} are of a video "
                f'of {own[0]} x {own[1]} pixels, and it has {width} x '
                f'{height}')
        boxes, scores = proposals.at(results['frame_ids'])
        boxes = boxes[:self.max_tubes] * np.array(
            [width / own[0], height / own[1]] * 2, np.float32)
        scores = scores[:self.max_tubes]
        results['tubes'] = np.ascontiguousarray(boxes.swapaxes(0, 1))
        results['tube_scores'] = np.ascontiguousarray(scores.T)
        results['tube_mask'] = results['tube_scores'] > 0
        results['tube_labels'] = proposals.labels[:self.max_tubes]
        return results

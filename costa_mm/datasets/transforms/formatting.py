# Copyright (c) costa_mm authors. All rights reserved.
"""From a results dict to what a model takes."""
from typing import Dict, Sequence

import numpy as np
import torch

from costa_mm.registry import TRANSFORMS
from costa_mm.structures import TubeDataSample
from .base import ClipTransform

META_KEYS = ('sample_id', 'video_path', 'video_id', 'num_frames', 'fps',
             'ori_shape', 'img_shape', 'segment', 'frame_ids', 'sentence',
             'qtype', 'factors', 'flip', 'draw', 'subject', 'tube_labels')
LABEL_KEYS = ('gt_appearance_labels', 'gt_motion_labels')


@TRANSFORMS.register_module()
class PackSTVGInputs(ClipTransform):
    """Pack frames and annotations.

    The frames are not copied: the tensor is a (T, 3, H, W) view of the
    (T, H, W, 3) array, channels last in memory, uint8.  Normalising and
    padding belong to the data preprocessor.

    Required Keys:

    - imgs
    - gt_boxes, gt_box_mask, gt_span, gt_tube (optional)
    - gt_appearance_labels, gt_motion_labels (optional)
    - those of ``video_keys``
    - those of ``meta_keys``, where they exist

    Modified Keys:

    - inputs
    - data_samples

    Args:
        meta_keys (Sequence[str]): What becomes meta information.
        video_keys (Sequence[str]): Arrays (T, ...) that the model gets with
            the frames, as ``VideoBatch.extras``.
    """

    def __init__(self,
                 *,
                 meta_keys: Sequence[str] = META_KEYS,
                 video_keys: Sequence[str] = ()) -> None:
        self.meta_keys = tuple(meta_keys)
        self.video_keys = tuple(video_keys)

    def transform(self, results: dict) -> dict:
        """Pack the sample.

        Returns:
            dict: ``inputs`` (Tensor, (T, 3, H, W), uint8, RGB) and
            ``data_samples`` (:obj:`TubeDataSample`).
        """
        imgs = np.ascontiguousarray(results['imgs'])
        meta = {k: results[k] for k in self.meta_keys if k in results}
        sample = TubeDataSample(metainfo=meta)
        if 'gt_boxes' in results:
            sample.gt_boxes = torch.from_numpy(results['gt_boxes'])
            sample.gt_box_mask = torch.from_numpy(results['gt_box_mask'])
        if results.get('gt_span') is not None:
            sample.gt_span = torch.tensor(results['gt_span'])
        if results.get('gt_tube') is not None:
            sample.gt_tube = results['gt_tube']
        for key in LABEL_KEYS:
            if key in results:
                sample.set_data({key: torch.from_numpy(results[key])})
        if self.video_keys:
            sample.video_inputs = self._video_inputs(results)
        inputs = torch.from_numpy(imgs).permute(0, 3, 1, 2)
        return dict(inputs=inputs, data_samples=sample)

    def _video_inputs(self, results: dict) -> Dict[str, torch.Tensor]:
        missing = [key for key in self.video_keys if key not in results]
        if missing:
            raise KeyError(f"{results['sample_id']}: no transform has made "
                           f'{missing}, which video_keys of PackSTVGInputs '
                           'name')
        return {
            key: torch.from_numpy(np.ascontiguousarray(results[key]))
            for key in self.video_keys
        }

# Copyright (c) costa_mm authors. All rights reserved.
"""The data sample that goes through the pipeline and the model."""
from mmengine.structures import BaseDataElement


class TubeDataSample(BaseDataElement):
    """One video with one sentence, its ground truth and its prediction.

    Meta information (``sample.metainfo``):

    - ``sample_id`` (str), ``video_id`` (str), ``video_path`` (str)
    - ``num_frames`` (int), ``fps`` (float): of the source video
    - ``ori_shape`` (tuple[int, int]): height and width of the source frames
    - ``img_shape`` (tuple[int, int]): height and width after the pipeline
    - ``segment`` (tuple[int, int]): source frames inside which frames are
      sampled, end exclusive; a temporal crop before sampling narrows it
    - ``frame_ids`` (np.ndarray): sampled source frames, (T, ), int64
    - ``sentence`` (str), ``qtype`` (str or None), ``factors`` (dict or None)
    - ``flip`` (bool): whether the frames are mirrored
    - ``subject`` (str): whom or what the sentence is about, where it is known
    - ``draw`` (float): a number in [0, 1) that depends on seed, epoch and
      sample only; training samples have it

    Ground truth, any of which may be absent at test time:

    - ``gt_boxes`` (Tensor): (T, 4), float32, (x1, y1, x2, y2) in pixels of
      ``img_shape``, zeros where there is none
    - ``gt_box_mask`` (Tensor): (T, ), bool, True where a box is annotated and
      the frame lies inside the event
    - ``gt_span`` (Tensor): (2, ), int64, first and last sampled frame of the
      event, both inclusive; absent if no sampled frame lies in it
    - ``gt_appearance_labels``, ``gt_motion_labels`` (Tensor): (n, ), int64,
      numbers of the attributes that the target has (TA-STVG)
    - ``gt_tube`` (:obj:`Tube`): in frames and pixels of the source video

    Prediction:

    - ``pred_tube`` (:obj:`Tube`): a box for every frame of the source video
    - ``pred_score`` (float): joint probability of the predicted span
    - ``pred_spans`` (list[tuple[int, int, float]]): best spans, end exclusive,
      source frames, with their probabilities
    - ``pred_start``, ``pred_end``, ``pred_attendance`` (np.ndarray): (T, ),
      probabilities on ``frame_ids``
    - ``pred_boxes`` (np.ndarray): (T, 4), original pixels, on ``frame_ids``
    - ``pred_attention`` (np.ndarray): (T, h, w), where the last layer of the
      spatial decoder looks; only where asked for
    """

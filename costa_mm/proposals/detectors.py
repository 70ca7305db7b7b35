# Copyright (c) costa_mm authors. All rights reserved.
"""What finds boxes in frames."""
import hashlib
import json
import os
from abc import ABCMeta, abstractmethod
from typing import Dict, List, Optional, Sequence

import numpy as np
import torch
from mmengine.registry import DefaultScope

from costa_mm.models.text_encoders.hf_loading import loading_from_hub
from costa_mm.registry import PROPOSALS
from .linking import Detections


class BaseFrameDetector(metaclass=ABCMeta):
    """Finds boxes in single frames.

    Attributes:
        reads_pixels (bool): Whether frames have to be decoded for it.
        reads_words (bool): Whether it looks for phrases, so that a video's
            proposals depend on its sentences.
    """

    reads_pixels = True
    reads_words = False

    @abstractmethod
    def detect(self, frames: np.ndarray, frame_ids: np.ndarray, video: str,
               phrases: Sequence[str] = ()) -> List[Detections]:
        """Boxes in some frames of a video.

        Args:
            frames (np.ndarray): RGB, (N, H, W, 3), uint8; empty if it does
                not read pixels.
            frame_ids (np.ndarray): Their numbers, (N, ).
            video (str): Path of the video.
            phrases (Sequence[str]): What to look for, if it reads words.

        Returns:
            list[:obj:`Detections`]: One per frame.
        """

    def frames_of(self, video: str) -> Optional[np.ndarray]:
        """The only frames it can say something of; None for any."""
        return None

    def recipe_of(self, video: str) -> Optional[dict]:
        """What its boxes in a video depend on, if that is not its config."""
        return None


@PROPOSALS.register_module()
class GivenDetections(BaseFrameDetector):
    """Boxes that somebody has found already.

    The file is one JSON object from the name of a video's file to an object
    from frame numbers (from 0) to boxes, each ``[x1, y1, x2, y2, label,
    score]``; a label is text, or a number if there are ``classes``.

    Args:
        path (str): The file.
        classes (Sequence[str], optional): Names by number.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is malformed; names video and frame.
    """

    reads_pixels = False

    def __init__(self, path: str,
                 classes: Optional[Sequence[str]] = None) -> None:
        self.path = path
        self.classes = classes
        with open(path, encoding='utf-8') as f:
            table = json.load(f)
        self.videos = {
            name: {int(k): self._read(rows, f'{path}, {name}, frame {k}')
                   for k, rows in sorted(frames.items(),
                                         key=lambda item: int(item[0]))}
            for name, frames in table.items()
        }

    def _read(self, rows: list, where: str) -> Detections:
        try:
            boxes = np.array([row[:4] for row in rows],
                             np.float32).reshape(-1, 4)
            labels = tuple(
                label if isinstance(label, str) else self.classes[int(label)]
                for *_, label, _ in rows)
            return Detections(
                boxes, np.array([row[5] for row in rows], np.float32), labels)
        except (TypeError, ValueError, IndexError) as e:
            raise ValueError(f'{where}: expected [[x1, y1, x2, y2, label, '
                             f'score], ...], labels as text or as numbers of '
                             f'classes ({e})') from e

    def _frames(self, video: str) -> Dict[int, Detections]:
        name = os.path.basename(video)
        if name not in self.videos:
            raise ValueError(f'{self.path} names no video {name}')
        return self.videos[name]

    def frames_of(self, video: str) -> np.ndarray:
        """Frames with an entry, maybe an empty one."""
        return np.array(list(self._frames(video)), dtype=np.int64)

    def recipe_of(self, video: str) -> dict:
        """The boxes themselves, wherever their file lies."""
        digest = hashlib.sha1()
        for number, found in self._frames(video).items():
            digest.update(f'{number} {found.labels}'.encode())
            digest.update(found.boxes.tobytes() + found.scores.tobytes())
        return dict(type=type(self).__name__, boxes=digest.hexdigest())

    def detect(self, frames: np.ndarray, frame_ids: np.ndarray, video: str,
               phrases: Sequence[str] = ()) -> List[Detections]:
        """See :meth:`BaseFrameDetector.detect`."""
        known = self._frames(video)
        return [known[int(i)] for i in frame_ids]


@PROPOSALS.register_module()
class MMDetFrameDetector(BaseFrameDetector):
    """A detector of mmdet, by its config.

    With mmcv-lite only those without compiled ops run (``mmdet.DETR`` and
    its relatives; not those with NMS or RoIAlign).

    Args:
        config (str): Config file.
        checkpoint (str, optional): Its weights; random without.
        device (str): Where it runs.
        score_thr (float): Boxes below are left out.
        max_boxes (int): Best boxes kept per frame.
    """

    def __init__(self, config: str, checkpoint: Optional[str] = None,
                 device: str = 'cpu', score_thr: float = 0.3,
                 max_boxes: int = 30) -> None:
        from costa_mm.compat import import_mmdet_models
        import_mmdet_models()
        from mmdet.apis import init_detector

        # mmdet would make its scope the default one of the process
        with DefaultScope.overwrite_default_scope('mmdet'):
            self.model = init_detector(config, checkpoint, device=device)
        self.score_thr = score_thr
        self.max_boxes = max_boxes

    def detect(self, frames: np.ndarray, frame_ids: np.ndarray, video: str,
               phrases: Sequence[str] = ()) -> List[Detections]:
        """See :meth:`BaseFrameDetector.detect`."""
        from mmdet.apis import inference_detector
        names = self.model.dataset_meta['classes']
        with DefaultScope.overwrite_default_scope('mmdet'):
            found = inference_detector(
                self.model, [frame[..., ::-1].copy() for frame in frames])
        return [
            best_boxes(
                sample.pred_instances.bboxes, sample.pred_instances.scores,
                [names[i] for i in sample.pred_instances.labels.tolist()],
                self.score_thr, self.max_boxes) for sample in found
        ]


@PROPOSALS.register_module()
class TransformersFrameDetector(BaseFrameDetector):
    """A detector of transformers, by the name of its model.

    Open-vocabulary ones (Grounding DINO, OWL-ViT) look for the phrases of the
    sentences, others for their own classes.

    Args:
        model_name (str): Hub name ('IDEA-Research/grounding-dino-tiny') or
            local folder.
        device (str): Where it runs.
        score_thr (float): Boxes below are left out.
        max_boxes (int): Best boxes kept per frame.

    Raises:
        OSError: If the model is not to be had; says where it was looked for.
    """

    def __init__(self, model_name: str, device: str = 'cpu',
                 score_thr: float = 0.3, max_boxes: int = 30) -> None:
        from transformers import (AutoConfig, AutoImageProcessor,
                                  AutoModelForObjectDetection,
                                  AutoModelForZeroShotObjectDetection,
                                  AutoProcessor)
        with loading_from_hub(model_name, 'the detector'):
            config = AutoConfig.from_pretrained(model_name)
            words = AutoModelForZeroShotObjectDetection._model_mapping
            self.reads_words = type(config) in words
            kind = AutoModelForZeroShotObjectDetection if self.reads_words \
                else AutoModelForObjectDetection
            self.model = kind.from_pretrained(model_name).to(device).eval()
            self.processor = (AutoProcessor if self.reads_words else
                              AutoImageProcessor).from_pretrained(model_name)
        self.device = device
        self.score_thr = score_thr
        self.max_boxes = max_boxes

    @torch.no_grad()
    def detect(self, frames: np.ndarray, frame_ids: np.ndarray, video: str,
               phrases: Sequence[str] = ()) -> List[Detections]:
        """See :meth:`BaseFrameDetector.detect`."""
        return [self._detect(frame, list(phrases)) for frame in frames]

    def _detect(self, frame: np.ndarray, phrases: List[str]) -> Detections:
        size = [frame.shape[:2]]
        if not self.reads_words:
            inputs = self.processor(images=frame, return_tensors='pt')
            outs = self.model(**inputs.to(self.device))
            found, = self.processor.post_process_object_detection(
                outs, threshold=self.score_thr, target_sizes=size)
            labels = [self.model.config.id2label[i]
                      for i in found['labels'].tolist()]
        else:
            inputs = self.processor(images=frame, text=[phrases],
                                    return_tensors='pt').to(self.device)
            outs = self.model(**inputs)
            found, = self.processor.post_process_grounded_object_detection(
                outs, input_ids=inputs.get('input_ids'),
                threshold=self.score_thr, target_sizes=size)
            labels = [str(i) for i in found.get('text_labels',
                                                found['labels'])]
        return best_boxes(found['boxes'], found['scores'], labels,
                          self.score_thr, self.max_boxes)


def best_boxes(boxes: torch.Tensor, scores: torch.Tensor,
               labels: Sequence[str], score_thr: float,
               max_boxes: int) -> Detections:
    """The boxes of the highest scores, at most ``max_boxes``."""
    order = scores.argsort(descending=True)[:max_boxes]
    order = order[scores[order] >= score_thr].tolist()
    return Detections(boxes[order].float().cpu().numpy().reshape(-1, 4),
                      scores[order].float().cpu().numpy(),
                      tuple(labels[i] for i in order))

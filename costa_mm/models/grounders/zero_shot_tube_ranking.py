# Copyright (c) costa_mm authors. All rights reserved.
"""Tubes of a detector, ranked by the sentence without any training."""
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import torch
from mmengine.model import BaseModel
from torch import Tensor, nn

from costa_mm.registry import MODELS
from costa_mm.structures import TubeDataSample, VideoBatch, VisualFeatures
from ..text_encoders.hf_loading import loading_from_hub
from ..text_encoders.subjects import parse_subject
from ..utils.tube_decoding import (DecodingConfig, SampledTube, densify_boxes,
                                   to_source_span, write_prediction)
from ..utils.word_cues import (GREYS, HUES, best_segment, color_share,
                               place_fit, words_of)

PIXELS_PER_CROP = 24  # a crop's colours are looked at on such a grid
COLORS = {*HUES, *GREYS, 'brown'}
CUES = ('detector', 'label', 'color', 'place', 'image')


class _Candidate(NamedTuple):
    """A proposal on the sampled frames of its video.

    Attributes:
        boxes (np.ndarray): (T, 4), normalised (x1, y1, x2, y2).
        scores (np.ndarray): Of the detector, (T, ); 0 where it is not.
        label (str): Its class.
    """
    boxes: np.ndarray
    scores: np.ndarray
    label: str


@MODELS.register_module()
class ZeroShotTubeRanking(BaseModel):
    """Picks the proposed tube that fits a sentence best.

    The value of a tube is a weighted sum of cues, each about from 0 to 1:

    - ``detector``: mean score of its boxes, 0 in frames where it is not;
    - ``label``: cosine of its label and the sentence's subject, as the
      sentence encoder sees them (negative ones count 0);
    - ``color``: share of its pixels that have a colour which the words before
      the subject name;
    - ``place``: fit of its boxes to words such as "left" or "small";
    - ``image``: cosine of its crops and the sentence, as an image-text model
      sees them, mean over frames.

    The event is the segment of frames in which the image-text cosine of the
    best tube is high; without an image-text model, the frames from its first
    to its last box.

    Args:
        data_preprocessor (dict): As of any grounder.
        text_encoder (dict, optional): Sentence encoder, for ``label``.
        image_text (str, optional): CLIP-like model of transformers, hub name
            or folder, for ``image``.
        weights (dict, optional): Weights of the cues by name.
        span_margin (float): See :func:`best_segment`.
        crops (int): Frames per tube that the image-text model sees.
        min_value (float): A tube of a lower value is "not in this video".
        test_cfg (dict, optional): See :class:`DecodingConfig`; spans only.

    Raises:
        OSError: If a model is not to be had.
        ValueError: If a cue has a weight and nothing to compute it.
    """

    needs_weights = False

    def __init__(self,
                 *,
                 data_preprocessor: dict,
                 text_encoder: Optional[dict] = None,
                 image_text: Optional[str] = None,
                 weights: Optional[Dict[str, float]] = None,
                 span_margin: float = 0.5,
                 crops: int = 8,
                 min_value: float = 0.,
                 test_cfg: Optional[dict] = None) -> None:
        super().__init__(data_preprocessor)
        self.weights = dict(dict.fromkeys(CUES, 1.), **(weights or {}))
        if set(self.weights) != set(CUES):
            raise ValueError(f'weights are of {", ".join(CUES)}, not '
                             f'{", ".join(self.weights)}')
        self.text_encoder = MODELS.build(text_encoder) if text_encoder \
            else None
        self.image_text = ImageText(image_text) if image_text else None
        self.span_margin = span_margin
        self.crops = crops
        self.min_value = min_value
        self.test_cfg = DecodingConfig(**(test_cfg or {}))
        # what an inferencer moves and looks at; nothing is trained
        self.anchor = nn.Parameter(torch.zeros(()), requires_grad=False)

    def forward(self, inputs: VideoBatch, data_samples: List[TubeDataSample],
                mode: str = 'predict') -> List[TubeDataSample]:
        """MMEngine's 'predict'.

        Raises:
            ValueError: For another mode: there is nothing to train.
        """
        if mode != 'predict':
            raise ValueError(f'{type(self).__name__} has nothing to train and '
                             f"knows only mode 'predict', not {mode!r}")
        return self.predict_encoded(self.encode_video(inputs), data_samples)

    def encode_video(self, inputs: VideoBatch) -> Tuple[VisualFeatures]:
        """Frames, proposals and their scores.

        Raises:
            ValueError: If the pipeline gives no proposals.
        """
        if 'tubes' not in inputs.extras:
            raise ValueError(
                'the pipeline gives no proposals: it needs LoadTubeProposals '
                "and PackSTVGInputs(video_keys=('tubes', 'tube_scores'))")
        pre = self.data_preprocessor
        frames = (inputs.frames * pre.std + pre.mean).clamp(0, 255)
        return (VisualFeatures(frames, inputs.frame_mask, inputs.pixel_mask,
                               dict(inputs.extras)), )

    @torch.no_grad()
    def predict_encoded(
            self, visual: Sequence[VisualFeatures],
            data_samples: List[TubeDataSample]) -> List[TubeDataSample]:
        """Rank the tubes of one video for all samples, or of one each."""
        features = visual[0]
        several = len(features.features) > 1
        for row, sample in enumerate(data_samples):
            self._predict(features, row if several else 0, sample)
        return data_samples

    def _predict(self, visual: VisualFeatures, row: int,
                 sample: TubeDataSample) -> None:
        valid = ~visual.frame_mask[row]
        pixels = ~visual.cell_mask[row]
        height, width = int(pixels[:, 0].sum()), int(pixels[0].sum())
        frames = visual.features[row][valid][..., :height, :width]
        tubes = visual.extras['tubes'][row][valid].float().cpu().numpy()
        scores = visual.extras['tube_scores'][row][valid].cpu().numpy()
        tubes = tubes / np.array([width, height] * 2)
        labels = sample.get('tube_labels', ())
        candidates = [
            _Candidate(tubes[:, p], scores[:, p], label)
            for p, label in enumerate(labels) if (scores[:, p] > 0).any()
        ]
        values, images = self.rank(candidates, frames, sample.sentence)
        best = int(np.argmax(values)) if candidates else None
        self._write(sample, candidates, best, values, images)

    # ---------------------------------------------------------------- the cues
    def rank(self, candidates: Sequence[_Candidate], frames: Tensor,
             sentence: str) -> Tuple[np.ndarray, Dict[int, np.ndarray]]:
        """Value of every candidate, and its image-text cosines over time.

        Args:
            candidates (Sequence): P tubes.
            frames (Tensor): RGB, (T, 3, H, W), from 0 to 255.
            sentence (str): The sentence.

        Returns:
            tuple[np.ndarray, dict[int, np.ndarray]]: (P, ) and, with an
            image-text model, (T, ) by candidate.
        """
        subject = parse_subject(sentence) or sentence
        named = _colors_of(sentence, subject)
        cosines = self._label_cosines([c.label for c in candidates], subject)
        images = {} if self.image_text is None else {
            p: self._image_cosines(c, frames, sentence)
            for p, c in enumerate(candidates)
        }
        values = np.zeros(len(candidates))
        for p, tube in enumerate(candidates):
            there = tube.scores > 0
            cues = dict(
                detector=float(tube.scores.mean()),
                label=max(cosines[p], 0.),
                color=self._color(tube, frames, named),
                place=place_fit(tube.boxes[there], sentence),
                image=float(images[p].mean()) if images else 0.)
            values[p] = sum(self.weights[k] * v for k, v in cues.items())
        return values, images

    def _label_cosines(self, labels: Sequence[str],
                       subject: str) -> np.ndarray:
        if self.text_encoder is None or not labels:
            return np.zeros(len(labels))
        names = sorted(set(labels))
        features = self.text_encoder([subject, *names])
        there = (~features.mask)[..., None].float()
        means = (features.tokens * there).sum(1) / there.sum(1)
        means = nn.functional.normalize(means, dim=-1)
        found = dict(zip(names, (means[1:] @ means[0]).tolist()))
        return np.array([found[label] for label in labels])

    @staticmethod
    def _color(tube: _Candidate, frames: Tensor,
               named: Sequence[str]) -> float:
        """Share of the tube's pixels of the named colours, best of them."""
        if not named:
            return 0.
        times = np.flatnonzero(tube.scores > 0)
        crops = [crop_box(frames[t], tube.boxes[t], PIXELS_PER_CROP, 0.7)
                 for t in times[::max(len(times) // 4, 1)]]
        pixels = torch.stack(crops).permute(0, 2, 3, 1).reshape(-1, 3)
        pixels = pixels.cpu().numpy()
        return max(color_share(pixels, word) for word in named)

    def _image_cosines(self, tube: _Candidate, frames: Tensor,
                       sentence: str) -> np.ndarray:
        """Cosine of crops and sentence, (T, ); lowest where it is not."""
        times = np.flatnonzero(tube.scores > 0)
        picked = times[np.unique(
            np.linspace(0, len(times) - 1, self.crops).round().astype(int))]
        size = self.image_text.image_size
        crops = torch.stack(
            [crop_box(frames[t], tube.boxes[t], size, 1.1) for t in picked])
        known = self.image_text(crops, sentence)
        out = np.interp(np.arange(len(tube.scores)), picked, known)
        out[tube.scores <= 0] = known.min()
        return out

    # ---------------------------------------------------------------- the tube
    def _write(self, sample: TubeDataSample, candidates: Sequence[_Candidate],
               best: Optional[int], values: np.ndarray,
               images: Dict[int, np.ndarray]) -> None:
        """Predicted fields; without a candidate nothing is found."""
        ids = np.asarray(sample.frame_ids)
        count = len(ids)
        height, width = sample.ori_shape
        boxes, first, last, value = np.zeros((count, 4)), 0, count - 1, 0.
        if best is not None:
            tube = candidates[best]
            times = np.flatnonzero(tube.scores > 0)
            first, last = int(times[0]), int(times[-1])
            if best in images:
                first, last = best_segment(images[best], self.span_margin)
            value = float(values[best])
            boxes = densify_boxes(times, tube.boxes[times], count) * np.array(
                [width, height] * 2)
        score = float(np.clip(value / sum(self.weights.values()), 0, 1))
        if value < self.min_value:
            score = 0.
        ends = self.test_cfg.span_ends
        span = to_source_span(first, last, ids, sample.num_frames, ends)
        write_prediction(
            sample,
            SampledTube(
                frame_ids=ids,
                boxes=boxes,
                spans=[(*span, score)],
                start=(np.arange(count) == first).astype(np.float32),
                end=(np.arange(count) == last).astype(np.float32),
                attendance=np.zeros(0, np.float32)))


class ImageText(nn.Module):
    """A CLIP-like model of transformers.

    Args:
        model_name (str): Hub name or folder.

    Raises:
        OSError: If it is not to be had.
    """

    def __init__(self, model_name: str) -> None:
        super().__init__()
        from transformers import AutoModel, AutoProcessor
        with loading_from_hub(model_name, 'the image-text model'):
            self.processor = AutoProcessor.from_pretrained(model_name)
            self.model = AutoModel.from_pretrained(model_name).eval()
        self.model.requires_grad_(False)
        vision = self.model.config.vision_config
        self.image_size = int(vision.image_size)

    def forward(self, crops: Tensor, sentence: str) -> np.ndarray:
        """Cosine of crops (N, 3, S, S), from 0 to 255, and a sentence."""
        inputs = self.processor(
            text=[sentence],
            images=[crop.round().to(torch.uint8).cpu() for crop in crops],
            return_tensors='pt', padding=True, truncation=True)
        outs = self.model(**inputs.to(crops.device))
        images = nn.functional.normalize(outs.image_embeds, dim=-1)
        text = nn.functional.normalize(outs.text_embeds, dim=-1)
        return (images @ text[0]).float().cpu().numpy()


def crop_box(frame: Tensor, box: np.ndarray, size: int,
             scale: float) -> Tensor:
    """A box of a frame, resized; bilinear, no compiled op.

    Args:
        frame (Tensor): (3, H, W).
        box (np.ndarray): Normalised (x1, y1, x2, y2).
        size (int): S.
        scale (float): The crop's sides over the box's.

    Returns:
        Tensor: (3, S, S); beyond the frame its border goes on.
    """
    x1, y1, x2, y2 = (2 * float(v) - 1 for v in box)
    grid = nn.functional.affine_grid(
        frame.new_tensor([[[(x2 - x1) / 2 * scale, 0, (x1 + x2) / 2],
                           [0, (y2 - y1) / 2 * scale, (y1 + y2) / 2]]]),
        [1, 3, size, size], align_corners=False)
    return nn.functional.grid_sample(
        frame[None], grid, padding_mode='border', align_corners=False)[0]


def _colors_of(sentence: str, subject: str) -> List[str]:
    """Colours that the words up to the subject name, or those behind
    "in": "the man in black"."""
    words = words_of(sentence)
    end = words.index(subject) if subject in words else len(words)
    named = [w for w in words[:end] if w in COLORS]
    for before, word in zip(words[end:], words[end + 1:]):
        if before in ('in', 'wearing') and word in COLORS:
            named.append(word)
    return named

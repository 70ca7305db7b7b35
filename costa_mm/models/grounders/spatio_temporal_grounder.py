# Copyright (c) costa_mm authors. All rights reserved.
"""The one grounder: a method is a config plus its own neck and head."""
from typing import Dict, Iterable, List, Optional, Sequence, Tuple, Union

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from torch import Tensor, nn

from costa_mm.registry import MODELS
from costa_mm.structures import (AttentionMaps, FusedMemory, TextFeatures,
                                 TubeDataSample, TubeOutputs, VideoBatch,
                                 VisualFeatures)
from ..text_encoders import BaseTextEncoder
from ..utils import (DecodingConfig, SampledTube, checkpointed, compile_parts,
                     cut_video, merge_passes, merge_windows, write_prediction)

Part = Union[dict, nn.Module]


@MODELS.register_module()
class SpatioTemporalGrounder(BaseModel):
    """Video and sentence in, tube out.

    The flow::

        frames --> backbone ------.
                                   >--> neck --> head --> losses | tube
        sentence --> text encoder '

        extract_video, encode_text, fuse, then head.loss or head.predict

    Prediction in two steps, so that one video can be asked many sentences::

        visual = model.encode_video(inputs)
        samples = model.predict_encoded(visual, data_samples)

    Every part may be a config or a module.

    Args:
        backbone (dict or nn.Module): (B, 3, T, H, W) and durations to a tuple
            of feature maps (B, C', T, h, w), of which the last is used, or to
            a dict of maps, whose 'features' are the cells; the others become
            extras of :obj:`VisualFeatures`, beside those of the batch.
        text_encoder (dict or nn.Module): Sentences to :obj:`TextFeatures`; a
            :class:`BaseTextEncoder` reads them while the device is busy.
        neck (dict or nn.Module): Both to :obj:`FusedMemory`.
        head (dict or nn.Module): A :class:`BaseTubeHead`.
        test_cfg (dict, optional): Options of :class:`DecodingConfig`.
        train_cfg (dict, optional): None; there are no training options here.
        data_preprocessor (dict or nn.Module, optional): Defaults to
            :class:`STVGDataPreprocessor`.
        compile_cfg (dict, optional): Compile backbone, fusion and decoder
            layers with ``torch.compile``: its arguments, and ``parts``, see
            :func:`compile_parts`; ``dict()`` takes the defaults.
        with_cp (bool): Recompute activations of residual blocks and fusion
            layers in the backward pass instead of keeping them: sets
            ``with_cp`` in the configs of the backbone's pathways and of the
            neck.
        init_cfg (dict, optional): Initialisation config, for instance
            ``dict(type='Pretrained', checkpoint=...)``.
    """

    def __init__(self,
                 *,
                 backbone: Part,
                 text_encoder: Part,
                 neck: Part,
                 head: Part,
                 test_cfg: Optional[dict] = None,
                 train_cfg: Optional[dict] = None,
                 data_preprocessor: Optional[Part] = None,
                 compile_cfg: Optional[dict] = None,
                 with_cp: bool = False,
                 init_cfg: Optional[dict] = None) -> None:
        if data_preprocessor is None:
            data_preprocessor = dict(type='costa_mm.STVGDataPreprocessor')
        if isinstance(data_preprocessor, dict):
            data_preprocessor = MODELS.build(data_preprocessor)
        super().__init__(
            data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        if train_cfg:
            raise ValueError('SpatioTemporalGrounder has no train_cfg '
                             f'options: {train_cfg}')
        self.test_cfg = DecodingConfig(**(test_cfg or {}))
        if with_cp:
            backbone, neck = checkpointed(backbone), checkpointed(neck)

        def build(part: Part) -> nn.Module:
            return MODELS.build(part) if isinstance(part, dict) else part

        self.backbone = build(backbone)
        self.text_encoder = build(text_encoder)
        self.neck = build(neck)
        self.head = build(head)
        if compile_cfg is not None:
            compile_parts(self, **compile_cfg)

    def forward(
        self,
        inputs: VideoBatch,
        data_samples: List[TubeDataSample],
        mode: str = 'tensor'
    ) -> Union[Dict[str, Tensor], List[TubeDataSample], TubeOutputs]:
        """MMEngine's three modes.

        Args:
            inputs (VideoBatch): From the data preprocessor.
            data_samples (list[TubeDataSample]): B samples.
            mode (str): 'loss' returns losses by name, 'predict' samples with
                ``pred_*`` fields, 'tensor' the head's raw outputs.

        Raises:
            ValueError: For another mode.
        """
        if mode == 'loss':
            return self.loss(inputs, data_samples)
        if mode == 'predict':
            return self.predict(inputs, data_samples)
        if mode == 'tensor':
            return self.head(self.fuse(inputs, data_samples))
        raise ValueError(f"mode {mode!r} is none of 'loss', 'predict', "
                         "'tensor'")

    def loss(self, inputs: VideoBatch,
             data_samples: List[TubeDataSample]) -> Dict[str, Tensor]:
        """Losses of a batch, by name."""
        return self.head.loss(self.fuse(inputs, data_samples), data_samples)

    def predict(self, inputs: VideoBatch,
                data_samples: List[TubeDataSample]) -> List[TubeDataSample]:
        """Samples with their predictions; ground truth is never read.

        With ``test_cfg.window`` a batch with a longer video goes through
        :meth:`predict_windows`, one video after the other; so does, with
        ``test_cfg.two_pass``, a batch in which some videos have no odd frame.
        """
        longest = max(inputs.durations)
        alike = len({self.test_cfg.count_passes(d)
                     for d in inputs.durations}) == 1
        if alike and len(self.test_cfg.split(longest)) == 1:
            return self.predict_encoded(
                self.encode_video(inputs), data_samples)
        for i, sample in enumerate(data_samples):
            parts = self.test_cfg.split(inputs.durations[i])
            self.predict_windows(
                cut_video(inputs, i, sample.frame_ids, parts), [sample])
        return data_samples

    def encode_video(self, inputs: VideoBatch) -> Tuple[VisualFeatures, ...]:
        """What prediction needs to know of videos, whatever the sentence.

        Args:
            inputs (VideoBatch): From the data preprocessor.

        Returns:
            tuple[VisualFeatures]: Features (B, T, C', h, w) of all frames or,
            with ``test_cfg.two_pass``, of the even and of the odd frames,
            each encoded as a video of its own.
        """
        passes = self.test_cfg.count_passes(min(inputs.durations))
        if passes == 1:
            return (self.extract_video(inputs), )
        return tuple(
            self.extract_video(
                inputs._replace(
                    frames=inputs.frames[:, offset::passes],
                    durations=tuple(
                        len(range(offset, d, passes))
                        for d in inputs.durations),
                    frame_mask=inputs.frame_mask[:, offset::passes],
                    extras={k: v[:, offset::passes]
                            for k, v in inputs.extras.items()}))
            for offset in range(passes))

    def predict_encoded(
            self, visual: Sequence[VisualFeatures],
            data_samples: List[TubeDataSample]) -> List[TubeDataSample]:
        """Ground sentences in videos that are encoded already.

        Args:
            visual (Sequence[VisualFeatures]): From :meth:`encode_video`, of
                one video for all samples, or of one video per sample.
            data_samples (list[TubeDataSample]): B samples.

        Returns:
            list[TubeDataSample]: The same samples with ``pred_*`` fields.

        Raises:
            ValueError: If there are neither one nor B videos.
        """
        metas = [sample.metainfo for sample in data_samples]
        text = self.encode_queries(metas)
        tubes = self._ground(visual, text, metas)
        for sample, tube in zip(data_samples, tubes):
            write_prediction(sample, tube, self.test_cfg.box_ends)
        return data_samples

    def predict_windows(
            self,
            windows: Iterable[Tuple[VideoBatch, np.ndarray]],
            data_samples: List[TubeDataSample],
            batch_size: Optional[int] = None) -> List[TubeDataSample]:
        """Ground sentences in one video that comes window by window.

        A window is encoded once, for all sentences, and let go before the
        next one is asked for, so memory does not grow with the video.

        Args:
            windows (Iterable[tuple[VideoBatch, np.ndarray]]): Windows of one
                video in order of time and their source frames, (T, ), which
                overlap from one window to the next.
            data_samples (list[TubeDataSample]): One per sentence.
            batch_size (int, optional): Sentences that are grounded together;
                all by default.

        Returns:
            list[TubeDataSample]: The same samples with ``pred_*`` fields on
            the frames of all windows, which become their ``frame_ids``.

        Raises:
            ValueError: If there is no window.
        """
        step = batch_size or len(data_samples)
        chunks = [data_samples[i:i + step]
                  for i in range(0, len(data_samples), step)]
        texts = [self.encode_queries([s.metainfo for s in c]) for c in chunks]
        found: List[List[SampledTube]] = []
        for inputs, ids in windows:
            visual = self.encode_video(inputs)
            found.append([])
            for chunk, text in zip(chunks, texts):
                metas = [{**s.metainfo, 'frame_ids': ids} for s in chunk]
                found[-1] += self._ground(visual, text, metas)
            del inputs, visual  # before the next window is made
        if not found:
            raise ValueError('there is no window to ground sentences in')
        for sample, *tubes in zip(data_samples, *found):
            tube = merge_windows(tubes, self.test_cfg)
            sample.set_metainfo(dict(frame_ids=tube.frame_ids))
            write_prediction(sample, tube, self.test_cfg.box_ends)
        return data_samples

    # ---------------------------------------------------------------- steps
    def extract_video(self, inputs: VideoBatch) -> VisualFeatures:
        """Frames (B, T, 3, H, W) to features (B, T, C', h, w)."""
        videos = inputs.frames.transpose(1, 2)  # (B, 3, T, H, W)
        maps = self.backbone(videos, inputs.durations)
        if not isinstance(maps, dict):
            maps = dict(features=maps[-1])
        maps = {k: v.transpose(1, 2) for k, v in maps.items()}
        features = maps.pop('features')  # (B, T, C', h, w)
        cell_mask = F.interpolate(
            inputs.pixel_mask[None].float(), size=features.shape[-2:])
        return VisualFeatures(features, inputs.frame_mask,
                              cell_mask[0].bool(), {**inputs.extras, **maps})

    def encode_text(self, sentences: List[str]) -> TextFeatures:
        """Sentences to tokens (B, L, C)."""
        return self.text_encoder(sentences)

    def encode_queries(self, metas: Sequence[dict]) -> TextFeatures:
        """Sentences of samples, with what else the encoder reads of them."""
        sentences, others = self._queries(metas)
        return self.text_encoder(sentences, **others)

    def _queries(self, metas: Sequence[dict]) -> Tuple[List[str], dict]:
        reads = getattr(self.text_encoder, 'reads_meta', {})
        return [meta['sentence'] for meta in metas], {
            argument: [meta.get(name) for meta in metas]
            for argument, name in reads.items()
        }

    def fuse(self, inputs: VideoBatch,
             data_samples: List[TubeDataSample]) -> FusedMemory:
        """Everything up to the neck."""
        metas = [s.metainfo for s in data_samples]
        encoder = self.text_encoder
        if not isinstance(encoder, BaseTextEncoder):
            visual = self.extract_video(inputs)
            return self.neck(visual, self.encode_queries(metas))
        # words become numbers on the host before the backbone starts
        sentences, others = self._queries(metas)
        tokens = encoder.tokenize(sentences, **others)
        visual = self.extract_video(inputs)
        return self.neck(visual, encoder.encode(tokens))

    @torch.no_grad()
    def attention_maps(
            self, inputs: VideoBatch,
            data_samples: List[TubeDataSample]) -> List[AttentionMaps]:
        """Where the spatial decoder looks, in one pass over all frames.

        Training and prediction never make these weights; this method does,
        and switches back afterwards.

        Args:
            inputs (VideoBatch): From the data preprocessor.
            data_samples (list[TubeDataSample]): B samples.

        Returns:
            list[AttentionMaps]: One per video.

        Raises:
            ValueError: If the head has no such weights to show.
        """
        if not hasattr(self.head, 'need_attention'):
            raise ValueError(f'{type(self.head).__name__} shows no attention')
        text = self.encode_queries([s.metainfo for s in data_samples])
        visual = self.extract_video(inputs)
        before = self.head.need_attention
        self.head.need_attention = True
        try:
            weights = self.head(self.neck(visual,
                                          text)).named('cell_attention')
        finally:
            self.head.need_attention = before
        if weights is None:
            raise ValueError(f'{type(self.head).__name__} shows no attention')
        height, width = visual.cell_mask.shape[1:]
        maps = []
        for i, duration in enumerate(inputs.durations):
            own = weights[:, i, :duration]  # (K, T, h*w + L)
            cells = own[..., :height * width].unflatten(-1, (height, width))
            rows = int((~visual.cell_mask[i]).any(1).sum())
            columns = int((~visual.cell_mask[i]).any(0).sum())
            maps.append(
                AttentionMaps(cells[..., :rows, :columns],
                              own[..., height * width:][..., ~text.mask[i]]))
        return maps

    # ----------------------------------------------------------- prediction
    def _ground(self, visual: Sequence[VisualFeatures], text: TextFeatures,
                metas: List[dict]) -> List[SampledTube]:
        """Ground every pass by itself, then merge the passes."""
        passes = []
        for offset, part in enumerate(visual):
            ids = [{
                **m, 'frame_ids':
                np.asarray(m['frame_ids'])[offset::len(visual)]
            } for m in metas]
            memory = self.neck(self._repeat(part, len(metas)), text)
            passes.append(self.head.predict(memory, ids, self.test_cfg))
        if len(passes) == 1:
            return passes[0]
        return [merge_passes(even, odd) for even, odd in zip(*passes)]

    @staticmethod
    def _repeat(visual: VisualFeatures, num: int) -> VisualFeatures:
        """One video for every sentence; a view."""
        count = len(visual.features)
        if count not in (1, num):
            raise ValueError(f'{num} samples need features of 1 or {num} '
                             f'videos, not {count}')

        def expand(x: Tensor) -> Tensor:
            return x.expand(num, *x.shape[1:])

        return VisualFeatures(
            *map(expand, visual[:-1]),
            extras={k: expand(v) for k, v in visual.extras.items()})

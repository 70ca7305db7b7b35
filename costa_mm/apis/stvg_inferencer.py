# Copyright (c) costa_mm authors. All rights reserved.
"""Video and sentence in, tube out, in one call."""
import copy
import os
from itertools import groupby
from typing import (Any, Callable, Dict, Iterator, List, Optional, Sequence,
                    Tuple, Union)

import torch
from mmengine.config import Config, ConfigDict
from mmengine.dataset import Compose
from mmengine.infer import BaseInferencer
from mmengine.registry import DefaultScope
from torch import nn
from tqdm import tqdm

from costa_mm.datasets import LoadVideoFrames, SampleFrames
from costa_mm.engine import load_weights, read_checkpoint
from costa_mm.registry import INFERENCERS, MODELS, TRANSFORMS
from costa_mm.structures import TubeDataSample
from costa_mm.visualization import TubeLocalVisualizer
from costa_mm.weights import find_model, models_with_weights
from .calibration import Calibration, find_calibration
from .grouping import LongVideo, VideoGroup, ground_group, group_sources
from .inputs import ArrayReader, Sentences, Videos, VideoSource, make_sources
from .long_video import VideoWindows, ground_video
from .outputs import check_folder, draw_pictures, write_files
from .results import TubeResult, dump_results

TUBE_FILE = 'tubes.json'


@INFERENCERS.register_module()
class STVGInferencer(BaseInferencer):
    """Grounds sentences in videos.

    Example:
        >>> inferencer = STVGInferencer('costa_tiny_synthetic')
        >>> out = inferencer('street.mp4', 'the man in red crosses the road',
        ...                  out_dir='outputs')
        >>> result = out['predictions'][0]
        >>> result.span, result.span_seconds, result.confidence

    Args:
        model (str | Path | Config | dict, optional): Config file, config, or
            the name of a model (see :func:`costa_mm.apis.list_models`).
            Without it the checkpoint's own config is used.
        weights (str | Path, optional): Checkpoint; default: that of the named
            model.
        device (str, optional): 'cpu', 'cuda:0', ...; default: what is there.
        scope (str): Default scope in which the config's types are looked up.
        show_progress (bool): Whether to show a progress bar.
        calibration (str | Path, optional): File that makes confidences
            calibrated (see :class:`costa_mm.apis.Calibration`); default:
            ``NAME.calibration.json`` beside the checkpoint, if it exists.

    Raises:
        FileNotFoundError: If config, checkpoint or calibration is missing.
        ValueError: If there is no such model, no weights, no such device, or
            the weights are of another model, or the calibration beside them
            is of others.
    """

    preprocess_kwargs = {'sources'}
    forward_kwargs: set = set()
    visualize_kwargs = {'show', 'wait_time', 'out_dir', 'return_vis',
                        'no_save_vis'}
    postprocess_kwargs = {'results'}

    def __init__(self,
                 model: Union[str, os.PathLike, Config, dict, None] = None,
                 weights: Union[str, os.PathLike, None] = None,
                 device: Optional[str] = None,
                 scope: str = 'costa_mm',
                 show_progress: bool = True,
                 calibration: Union[str, os.PathLike, None] = None) -> None:
        self.calibration = None if calibration is None else \
            Calibration.load(calibration)
        model = os.fspath(model) if isinstance(model, os.PathLike) else model
        weights = None if weights is None else os.fspath(weights)
        if isinstance(model, str) and model.endswith('.py') and \
                not os.path.isfile(model):
            raise FileNotFoundError(f'there is no config file {model}')
        if device is not None:
            _check_device(device)
        with DefaultScope.overwrite_default_scope(scope):
            super().__init__(model, weights, device, scope, show_progress)

    # ---------------------------------------------------------------- set-up
    def _load_model_from_metafile(self, model: str):
        """MMEngine's look-up knows a closed list of packages; this is ours."""
        entry = find_model(model)
        return Config.fromfile(entry.config), entry.present_weights

    def _init_model(self,
                    cfg: Union[Config, ConfigDict],
                    weights: Optional[str],
                    device: str = 'cpu') -> nn.Module:
        if weights is None:
            raise ValueError(
                'no weights: this installation has none of this model; give '
                'a checkpoint, STVGInferencer(model, weights=...), or a model '
                f'that has some ({", ".join(models_with_weights()) or "none"})'
            )
        checkpoint = read_checkpoint(weights)
        if not cfg:
            cfg.update(self._config_of(checkpoint, weights))
        model = MODELS.build(cfg.model)
        load_weights(model, checkpoint, weights, whole=True)
        if self.calibration is None:
            self.calibration = find_calibration(
                weights, checkpoint.get('state_dict', checkpoint))
        model.cfg = cfg
        return model.to(device).eval()

    @staticmethod
    def _config_of(checkpoint: dict, path: str) -> ConfigDict:
        """The config that a training run left in its checkpoint."""
        text = (checkpoint.get('meta') or {}).get('cfg')
        if not text:
            raise ValueError(f'{path} holds no config: give one, '
                             'STVGInferencer(config, weights=...)')
        return Config.fromstring(text, file_format='.py')._cfg_dict

    def _init_pipeline(self, cfg: Union[Config, ConfigDict]) -> Compose:
        """The test pipeline; a sample without truth passes it unchanged."""
        dataset = cfg.test_dataloader.dataset
        while 'pipeline' not in dataset:  # a wrapper: what it holds
            inner = dataset.get('dataset', dataset.get('datasets'))
            if not inner:
                raise ValueError('the config has no test pipeline '
                                 '(test_dataloader.dataset.pipeline)')
            dataset = inner[0] if isinstance(inner, (list, tuple)) else inner
        transforms = [TRANSFORMS.build(t) for t in dataset.pipeline]
        loaders = [t for t in transforms if isinstance(t, LoadVideoFrames)]
        if len(loaders) != 1:
            raise ValueError('the test pipeline must hold LoadVideoFrames '
                             f'once, not {len(loaders)} times')
        return Compose(transforms)

    def _init_visualizer(self, cfg: Any) -> TubeLocalVisualizer:
        """Without the config's backends: results go to ``out_dir``."""
        return TubeLocalVisualizer(name=f'inferencer-{id(self)}')

    @property
    def reader(self):
        """The video reader of the config's test pipeline."""
        return next(t.reader for t in self.pipeline.transforms
                    if isinstance(t, LoadVideoFrames))

    # -------------------------------------------------------------- the call
    def __call__(self,
                 inputs: Videos,
                 sentences: Sentences,
                 *,
                 batch_size: int = 1,
                 fps: Optional[float] = None,
                 pred_score_thr: Optional[float] = None,
                 out_dir: Union[str, os.PathLike] = '',
                 return_vis: bool = False,
                 no_save_vis: bool = False,
                 show: bool = False,
                 wait_time: float = 0,
                 return_datasamples: bool = False,
                 attention: bool = False) -> Dict[str, Any]:
        """Ground sentences in videos.

        Every video is decoded and encoded once for all of its sentences.

        Args:
            inputs: Path of a video or of a folder with videos; frames in
                memory, an RGB array (T, H, W, 3), uint8, or a list of (H, W,
                3); or a list of any of those.
            sentences: One sentence, or several, for every video; or one list
                of sentences per video.
            batch_size (int): Sentences that go through the model together,
                of one video or of several.
            fps (float, optional): Frame rate of frames in memory.
            pred_score_thr (float, optional): A tube below this confidence
                counts as "not in this video" (``result.found`` is False) and
                is not drawn; default: the calibration's threshold, or 0
                without a calibration.
            out_dir (str | Path): Where to write, per video, a video with the
                tubes (``NAME.mp4``), a contact sheet (``NAME_sheet.png``) and
                a timeline per sentence, and one tube file for all
                (``tubes.json``); '' writes nothing.
            return_vis (bool): Whether to return the pictures.
            no_save_vis (bool): Whether to write the tube file only.
            show (bool): Whether to show the contact sheets in a window; on a
                machine without a display nothing is shown, with a warning.
            wait_time (float): Seconds that a window stays; 0 waits for a key.
            return_datasamples (bool): Whether to return
                :obj:`TubeDataSample` in place of :obj:`TubeResult`.
            attention (bool): Whether results, JSON and pictures are to hold
                the attention maps of the spatial decoder too.  The video is
                encoded once more for every sentence.

        Returns:
            dict: ``predictions`` (list[:obj:`TubeResult`]), videos in order
            and sentences in order within; ``visualization`` (list[dict] or
            None), per video the pictures by name; ``files`` (list[str]), what
            was written.

        Raises:
            FileNotFoundError: If a video is missing or a folder holds none.
            NotADirectoryError: If ``out_dir`` is a file.
            TypeError: If an input or a sentence is of a wrong type.
            ValueError: If a sentence is empty, frames are malformed, a file
                is no video that can be decoded, attention is asked of a
                model that shows none, or a result would be written over one
                of the videos.
        """
        if batch_size < 1:
            raise ValueError(f'batch_size must be at least 1, not '
                             f'{batch_size}')
        out_dir = os.fspath(out_dir)
        sources = make_sources(inputs, sentences, self.reader, fps)
        if out_dir:
            check_folder(out_dir, sources)
        samples = self._predict(sources, batch_size, attention)
        seconds = [s.seconds for s in sources for _ in s.sentences]
        results = [
            TubeResult.from_sample(sample, pred_score_thr, self.calibration,
                                   times)
            for sample, times in zip(samples, seconds)
        ]
        pictures, files = self.visualize(
            sources, samples, show, results=results, return_vis=return_vis,
            out_dir='' if no_save_vis else out_dir, wait_time=wait_time)
        return self.postprocess(
            samples, pictures, return_datasamples, results=results,
            out_dir=out_dir, files=files)

    def _predict(self, sources: Sequence[VideoSource], batch_size: int,
                 attention: bool) -> List[TubeDataSample]:
        """A predicted sample for every sentence, in order."""
        total = sum(len(source.sentences) for source in sources)
        samples: List[TubeDataSample] = []
        with tqdm(total=total, desc='grounding', unit='sentence',
                  disable=not self.show_progress) as bar:
            for group in self.preprocess(sources, batch_size):
                for chunk in self.forward(group, batch_size=batch_size,
                                          attention=attention):
                    samples += chunk
                    bar.update(len(chunk))
        return samples

    def preprocess(self, inputs: Sequence[VideoSource], batch_size: int = 1,
                   **kwargs) -> Iterator[Union[VideoGroup, LongVideo]]:
        """Groups of videos, each decoded when its turn comes."""
        for sources in group_sources(inputs, batch_size):
            pairs = [(source, self._windows(source)) for source in sources]
            for is_long, run in groupby(pairs, lambda p: len(p[1]) > 1):
                if is_long:
                    yield from (LongVideo(w, s.requests()) for s, w in run)
                else:
                    yield from self._groups(list(run))

    def _windows(self, source: VideoSource) -> VideoWindows:
        """A video's windows, one where it is not long; nothing is decoded."""
        return VideoWindows(
            self._transforms_for(source), self._record(source),
            self.model.test_cfg)

    @staticmethod
    def _groups(pairs: Sequence[Tuple[VideoSource, VideoWindows]]
                ) -> Iterator[VideoGroup]:
        """Decode short videos; a sample for each of their sentences.

        A video of one frame has no second pass, and its batch mates would
        lose theirs: it is grounded apart.
        """
        decoded = [(source, *windows) for source, windows in pairs]
        for _, run in groupby(decoded, lambda d: len(d[1]['inputs']) > 1):
            videos, samples, rows = [], [], []
            for row, (source, video) in enumerate(run):
                videos.append(video)
                for sample_id, sentence in source.requests():
                    sample = video['data_samples'].clone()
                    sample.set_metainfo(
                        dict(sentence=sentence, sample_id=sample_id))
                    samples.append(sample)
                    rows.append(row)
            yield VideoGroup(videos, samples, rows)

    def _transforms_for(self, source: VideoSource) -> List[Callable]:
        """The test pipeline, reading from the video's own reader."""
        transforms = []
        for transform in self.pipeline.transforms:
            if isinstance(transform, LoadVideoFrames):
                transform = copy.copy(transform)
                transform.reader = source.reader
                if isinstance(source.reader, ArrayReader):
                    transform.cache_root = None  # there is no file to cache
            if isinstance(transform, SampleFrames) and source.info.fps is \
                    None and transform.mode == 'fps':
                raise ValueError(
                    f'{source.path}: this config samples '
                    f'{transform.fps} frames per second and the frame rate '
                    'is not known: give fps=...')
            transforms.append(transform)
        return transforms

    @staticmethod
    def _record(source: VideoSource) -> dict:
        """The record of a video, as a dataset would give it."""
        info = source.info
        return dict(
            sample_id=source.name,
            video_path=source.path,
            video_id=source.name,
            sentence=source.sentences[0],
            qtype=None,
            num_frames=info.num_frames,
            fps=info.fps,
            width=info.width,
            height=info.height,
            segment=(0, info.num_frames),
            gt_tube=None,
            factors=None)

    def forward(self,
                inputs: Union[VideoGroup, LongVideo],
                *,
                batch_size: int = 1,
                attention: bool = False) -> Iterator[List[TubeDataSample]]:
        """Predicted samples, ``batch_size`` sentences at a time."""
        if isinstance(inputs, VideoGroup):
            yield from ground_group(
                self.model, self.collate_fn(inputs.videos), inputs,
                batch_size, attention)
        elif attention:
            raise ValueError(
                f"{inputs.windows.record['video_path']} is grounded in "
                f'{len(inputs.windows)} windows, of which no attention maps '
                'are made: call without attention=True')
        else:
            yield ground_video(
                self.model, inputs.windows, inputs.requests, batch_size)

    def visualize(self,
                  inputs: Sequence[VideoSource],
                  preds: Sequence[TubeDataSample],
                  show: bool = False,
                  *,
                  results: Sequence[TubeResult] = (),
                  return_vis: bool = False,
                  out_dir: str = '',
                  wait_time: float = 0) -> tuple:
        """Draw what is asked for.

        Returns:
            tuple: Pictures per video (None if not asked for) and the paths
            written.
        """
        visualization, files, first = [], [], 0
        if not (show or return_vis or out_dir):
            return None, files
        for source in inputs:
            own = slice(first, first + len(source.sentences))
            first = own.stop
            pictures = draw_pictures(source, results[own], preds[own])
            visualization.append(pictures)
            if out_dir:
                files += write_files(out_dir, source, results[own],
                                     pictures).values()
            if show:
                self.visualizer.show(
                    pictures['sheet'], win_name=source.name,
                    wait_time=wait_time)
        return (visualization if return_vis else None), files

    def postprocess(self,
                    preds: Sequence[TubeDataSample],
                    visualization: Optional[list] = None,
                    return_datasample: bool = False,
                    *,
                    results: Sequence[TubeResult] = (),
                    out_dir: str = '',
                    files: Sequence[str] = ()) -> Dict[str, Any]:
        """Write the tube file and put the answer together."""
        files = list(files)
        if out_dir:
            files.append(os.path.join(out_dir, TUBE_FILE))
            dump_results(results, files[-1])
        return dict(
            predictions=list(preds if return_datasample else results),
            visualization=visualization,
            files=files)


def _check_device(device: str) -> None:
    """Say at once, not after loading, that a device is not there."""
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as e:
        reason = str(e).splitlines()[0]
        raise ValueError(
            f"device {device!r} cannot be used here; give 'cpu', or 'cuda:0' "
            f'on a machine with a GPU and a torch for it ({reason})') from e

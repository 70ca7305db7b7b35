# Copyright (c) costa_mm authors. All rights reserved.
"""Video and sentence in, tube out, in one call."""
import copy
import os
from collections import deque
from logging import WARNING
from typing import (Any, Callable, Dict, Iterable, Iterator, List, Optional,
                    Sequence, Tuple, Union)

import numpy as np
from mmengine.device import get_device
from mmengine.logging import print_log
from mmengine.registry import DefaultScope
from torch import nn
from tqdm import tqdm

from costa_mm.datasets import LoadVideoFrames
from costa_mm.engine import build_trained, read_checkpoint
from costa_mm.engine.checkpoint_io import weights_of
from costa_mm.late_imports import collector_paused
from costa_mm.registry import INFERENCERS, MODELS, TRANSFORMS
from costa_mm.structures import TubeDataSample
from costa_mm.utils.building import needs_weights
from costa_mm.utils.configs import first_dataset
from costa_mm.utils.parallel import prefetch
from costa_mm.visualization import TubeLocalVisualizer
from costa_mm.weights import models_with_weights, notice_of
from .backends import GraphBackbone
from .calibration import Calibration, find_calibration
from .grounding import OpenedVideo, VideoWindows, ground_group, group_videos
from .inputs import (Sentences, Videos, check_number, live_requests,
                     make_requests, make_sources, text_path)
from .model_choice import Model, check_device, config_of, find_config
from .outputs import (TUBE_FILE, Progress, check_outputs, draw_files,
                      draw_pictures)
from .results import TubeResult, dump_results
from .sources import ArrayReader, VideoRequest, VideoSource, open_source


@INFERENCERS.register_module()
class STVGInferencer:
    """Grounds sentences in videos.

    Its call is that of OpenMMLab's inferencers, but it is not a
    ``mmengine.infer.BaseInferencer``: that one has a model look at every
    input once, while here a video is decoded once for many sentences, and
    window by window if it is long.  So there are no ``preprocess``,
    ``forward``, ``visualize`` and ``postprocess`` to override; the steps are
    functions of ``costa_mm.apis.inputs``, ``grounding``, ``results`` and
    ``outputs``.

    Example:
        >>> inferencer = STVGInferencer('tubedetr_hcstvg')  # fetches 3 GB
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
        backend (str): What runs the backbone: 'pytorch', 'onnxruntime' or
            'openvino' (see :mod:`costa_mm.apis.backends`).
        graph (str | Path, optional): The backbone as ONNX, for the other
            two.

    Raises:
        FileNotFoundError: If config, checkpoint, calibration or graph is
            missing.
        ImportError: If the backend is not installed.
        TypeError: If an argument is of a wrong type.
        ValueError: If there is no such model, no weights, no such device, or
            the weights are of another model or not finite, or the calibration
            beside them is of others.
    """

    def __init__(self,
                 model: Optional[Model] = None,
                 weights: Union[str, os.PathLike, None] = None,
                 device: Optional[str] = None,
                 scope: str = 'costa_mm',
                 show_progress: bool = True,
                 calibration: Union[str, os.PathLike, None] = None,
                 backend: str = 'pytorch',
                 graph: Union[str, os.PathLike, None] = None) -> None:
        if backend == 'pytorch' and graph is not None:
            raise ValueError(f'PyTorch runs no graph; for {graph} give '
                             'backend=')
        self.show_progress = show_progress
        self.calibration = None if calibration is None else \
            Calibration.load(text_path('calibration', calibration))
        if weights is not None:
            weights = text_path('weights', weights)
        device = get_device() if device is None else device
        check_device(device)
        with DefaultScope.overwrite_default_scope(scope), collector_paused():
            self.cfg, weights = find_config(model, weights)
            self.model = self._build_model(weights).to(device).eval()
            if backend != 'pytorch':
                self.model.backbone = GraphBackbone(
                    backend, text_path('graph', graph or ''))
            self.transforms = [
                TRANSFORMS.build(t)
                for t in first_dataset(self.cfg, 'test').get('pipeline', ())
            ]
        loaders = [
            t for t in self.transforms if isinstance(t, LoadVideoFrames)
        ]
        if len(loaders) != 1:
            raise ValueError('the test pipeline must hold LoadVideoFrames '
                             f'once, not {len(loaders)} times')
        self.reader = loaders[0].reader

    def _build_model(self, path: Optional[str]) -> nn.Module:
        """The model with its weights; finds config and calibration."""
        if path is None and not needs_weights(self.cfg.model):
            self.notice = None
            return MODELS.build(self.cfg.model)
        if path is None:
            raise ValueError(
                'no weights: this installation has none of this model; give '
                'a checkpoint, STVGInferencer(model, weights=...), or a model '
                f'that has some ({", ".join(models_with_weights()) or "none"})'
            )
        checkpoint = read_checkpoint(path)
        self.notice = notice_of(path)
        if self.notice:
            print_log(self.notice, 'current', WARNING)
        if not self.cfg:
            self.cfg = config_of(checkpoint, path)
        model = build_trained(self.cfg.model, checkpoint, path)
        if self.calibration is None:
            self.calibration = find_calibration(path, weights_of(checkpoint))
        model.cfg = self.cfg
        return model

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
                 no_save_pred: bool = False,
                 print_result: bool = False,
                 show: bool = False,
                 wait_time: float = 0,
                 return_datasamples: bool = False,
                 attention: bool = False,
                 progress: Optional[Progress] = None) -> Dict[str, Any]:
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
                is drawn grey, without a box; default: the calibration's
                threshold, or 0 without a calibration.
            out_dir (str | Path): Where to write, per video, a video with the
                tubes (``NAME.mp4``), a contact sheet (``NAME_sheet.png``) and
                a timeline per sentence, and one tube file for all
                (``tubes.json``); '' writes nothing.
            return_vis (bool): Whether to return the pictures.
            no_save_vis (bool): Whether to write no pictures.
            no_save_pred (bool): Whether to write no tube file.
            print_result (bool): Whether to print what was found.
            show (bool): Whether to show the contact sheets in a window; on a
                machine without a display nothing is shown, with a warning.
            wait_time (float): Seconds that a window stays; 0 waits for a key.
            return_datasamples (bool): Whether to return
                :obj:`TubeDataSample` in place of :obj:`TubeResult`.
            attention (bool): Whether results, JSON and pictures are to hold
                the attention maps of the spatial decoder too.  The video is
                encoded once more for every sentence.
            progress (Callable, optional): Told the stage of the work, what is
                done of it, and all of it.

        Returns:
            dict: ``predictions`` (list[:obj:`TubeResult`]), videos in order
            and sentences in order within; ``visualization`` (list[dict] or
            None), per video the pictures by name; ``files`` (list[str]), what
            was written.

        Raises:
            FileNotFoundError: If a video is missing or a folder holds none.
            OSError: If nothing can be written in ``out_dir``; told before
                anything is computed.
            TypeError: If an argument is of a wrong type.
            ValueError: If a sentence is empty, frames are malformed, a number
                is out of range, a file is no video that can be decoded,
                attention is asked of a model that shows none, or a result
                would be written over one of the videos.
        """
        check_number('batch_size', batch_size, 1, whole=True)
        check_number('wait_time', wait_time, 0)
        if pred_score_thr is not None:
            check_number('pred_score_thr', pred_score_thr, 0, 1)
        sources = make_sources(inputs, sentences, self.reader, fps)
        if out_dir != '':
            out_dir = text_path('out_dir', out_dir)
            check_outputs(out_dir, sources)
        samples = self._predict(sources, batch_size, attention, progress)
        seconds = [s.seconds for s in sources for _ in s.sentences]
        results = [
            TubeResult.from_sample(sample, pred_score_thr, self.calibration,
                                   times)
            for sample, times in zip(samples, seconds)
        ]
        if print_result:
            print(*(result.describe() for result in results), sep='\n')
        pictures, files = self._draw(
            sources, results, samples, '' if no_save_vis else out_dir, show,
            wait_time, return_vis)
        if out_dir and not no_save_pred:
            files.append(os.path.join(out_dir, TUBE_FILE))
            dump_results(results, files[-1])
        return dict(
            predictions=samples if return_datasamples else results,
            visualization=pictures if return_vis else None,
            files=files)

    def _predict(self, sources: Sequence[VideoSource], batch_size: int,
                 attention: bool,
                 progress: Optional[Progress]) -> List[TubeDataSample]:
        """A predicted sample for every sentence, in order."""
        total = sum(len(source.sentences) for source in sources)
        if progress is None:
            progress = _untold
        progress('reading', 0, len(sources))
        videos = (self.open_video(source) for source in sources)
        samples: List[TubeDataSample] = []
        with tqdm(total=total, desc='grounding', unit='sentence',
                  disable=not self.show_progress) as bar:
            for group in group_videos(videos, batch_size):
                for chunk in ground_group(self.model, group, batch_size,
                                          attention):
                    samples += chunk
                    bar.update(len(chunk))
                    progress('grounding', len(samples), total)
        return samples

    def open_video(self, source: VideoSource) -> OpenedVideo:
        """A video as :func:`ground_group` takes it; nothing is decoded yet.

        Raises:
            ValueError: See :class:`VideoWindows`.
        """
        return OpenedVideo(
            VideoWindows(
                self._transforms_for(source), source.record(),
                self.model.test_cfg), source.requests())

    def stream(self,
               inputs: Videos,
               sentences: Sentences,
               *,
               batch_size: int = 1,
               fps: Optional[float] = None,
               pred_score_thr: Optional[float] = None) -> Iterator[TubeResult]:
        """Ground sentences in videos, one result after the other.

        As :meth:`__call__`, but a video is opened when its turn comes,
        decoded while the one before it is grounded, and forgotten when its
        results are out: memory does not grow with the number of videos.

        Yields:
            :obj:`TubeResult`: Videos in order, sentences in order within.

        Raises:
            FileNotFoundError, TypeError, ValueError: See :meth:`__call__`;
                of a video that cannot be read when its turn comes.
        """
        check_number('batch_size', batch_size, 1, whole=True)
        requests = make_requests(inputs, sentences)
        return self._stream(requests, batch_size, fps, pred_score_thr)

    def live(self,
             source: Union[int, Iterable[np.ndarray]],
             sentences: Sentences,
             *,
             fps: Optional[float] = None,
             seconds: float = 20.,
             pred_score_thr: Optional[float] = None) -> Iterator[TubeResult]:
        """Ground sentences in frames that keep coming.

        They are cut into pieces, each grounded as a video of its own: an
        event that two pieces share is found in both.  One piece is grounded
        while the next is collected.

        Args:
            source (int or Iterable[np.ndarray]): Number of a camera, or
                frames (H, W, 3), RGB, uint8, as they come.
            sentences: One sentence, or several.
            fps (float, optional): Frames per second; the camera's own by
                default, needed for other frames.
            seconds (float): Length of a piece.
            pred_score_thr (float, optional): See :meth:`__call__`.

        Yields:
            :obj:`TubeResult`: Sentences in order of every piece; ``video``
            is its name, ``live_0``, ``live_1``, ...

        Raises:
            OSError: If there is no such camera.
            ValueError: If the rate is not known.
        """
        requests, fps = live_requests(source, sentences, fps, seconds)
        return self._stream(requests, 1, fps, pred_score_thr)

    def _stream(self, requests: Iterable[VideoRequest], batch_size: int,
                fps: Optional[float],
                score_thr: Optional[float]) -> Iterator[TubeResult]:
        """Results of videos that are opened one by one."""
        sources = deque()

        def videos() -> Iterator[OpenedVideo]:
            for request in requests:
                source = open_source(request, self.reader, fps)
                sources.extend([source] * len(source.sentences))
                yield self.open_video(source).decode()

        for group in group_videos(prefetch(videos()), batch_size):
            for chunk in ground_group(self.model, group, batch_size):
                for sample in chunk:
                    yield TubeResult.from_sample(
                        sample, score_thr, self.calibration,
                        sources.popleft().seconds)

    def _transforms_for(self, source: VideoSource) -> List[Callable]:
        """The test pipeline, reading from the video's own reader."""
        transforms = []
        for transform in self.transforms:
            if isinstance(transform, LoadVideoFrames):
                transform = copy.copy(transform)
                transform.reader = source.reader
                if isinstance(source.reader, ArrayReader):
                    transform.cache_root = None  # there is no file to cache
            transforms.append(transform)
        return transforms

    @staticmethod
    def _draw(sources: Sequence[VideoSource], results: Sequence[TubeResult],
              samples: Sequence[TubeDataSample], out_dir: str, show: bool,
              wait_time: float, wanted: bool) -> Tuple[list, List[str]]:
        """Pictures per video, where asked for, and the paths written."""
        visualization, files, first = [], [], 0
        if not (show or wanted or out_dir):
            return visualization, files
        for source in sources:
            own = slice(first, first + len(source.sentences))
            first = own.stop
            if out_dir:
                pictures, paths = draw_files(out_dir, source, results[own],
                                             samples[own])
                files += paths.values()
            else:
                pictures = draw_pictures(source, results[own], samples[own])
            if wanted:
                visualization.append(pictures)
            if show:
                TubeLocalVisualizer(name=source.name).show(
                    pictures['sheet'], win_name=source.name,
                    wait_time=wait_time)
        return visualization, files


def _untold(stage: str, done: int, total: int) -> None:
    """Nobody asked."""

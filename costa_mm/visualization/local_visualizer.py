# Copyright (c) costa_mm authors. All rights reserved.
"""MMEngine's visualizer for tubes."""
import warnings
from typing import Dict, Optional

import numpy as np
from mmengine.visualization import Visualizer
from PIL import Image

from costa_mm.registry import VISUALIZERS
from costa_mm.structures import TubeDataSample
from costa_mm.utils import atomic_path
from costa_mm.utils.frames import FrameClock
from .contact_sheet import contact_sheet, pick_frames
from .painter import TubePainter
from .timeline import plot_timeline
from .tracks import Color, tracks_from_sample
from .video_writer import write_video


def timeline_from_sample(data_sample: TubeDataSample,
                         title: Optional[str] = None,
                         color: Optional[Color] = None,
                         fps: Optional[FrameClock] = None
                         ) -> Optional[np.ndarray]:
    """The timeline picture of a predicted sample, None without prediction.

    Args:
        data_sample (:obj:`TubeDataSample`): With ``pred_*`` fields or not.
        title (str, optional): Default: the sentence.
        color (tuple[int, int, int], optional): Of the predicted spans.
        fps (float or np.ndarray, optional): Default: the sample's own.
    """
    if data_sample.get('pred_start', None) is None:
        return None
    truth = data_sample.get('gt_tube', None)
    attendance = data_sample.get('pred_attendance', None)
    if attendance is not None and not len(attendance):
        attendance = None  # the model predicts none
    return plot_timeline(
        data_sample.frame_ids,
        data_sample.pred_start,
        data_sample.pred_end,
        attendance,
        num_frames=data_sample.num_frames,
        fps=data_sample.get('fps', None) if fps is None else fps,
        pred_span=data_sample.pred_tube.span,
        gt_span=None if truth is None else truth.span,
        pred_spans=data_sample.get('pred_spans', ()),
        sentence=data_sample.get('sentence', '') if title is None else title,
        pred_color=color)


def save_image(path: str, image: np.ndarray) -> None:
    """Write an RGB picture, creating its folder; the suffix says the format.
    """
    with atomic_path(path) as part:
        # of PNG: a third of the time of 6, the default, and 5 % more bytes
        Image.fromarray(image).save(part, compress_level=3)


@VISUALIZERS.register_module()
class TubeLocalVisualizer(Visualizer):
    """Shows tubes as a contact sheet, a timeline and a video.

    The contact sheet and the timeline go to the visualizer's backends
    (TensorBoard, local folder), the video to a file.

    Args:
        name (str): Name of the instance.
        vis_backends (list[dict], optional): As for MMEngine's visualizer.
        save_dir (str, optional): Folder of the backends.
        num_tiles (int): Frames on a contact sheet.
    """

    def __init__(self,
                 name: str = 'visualizer',
                 vis_backends: Optional[list] = None,
                 save_dir: Optional[str] = None,
                 *,
                 num_tiles: int = 12) -> None:
        super().__init__(
            name=name, vis_backends=vis_backends, save_dir=save_dir)
        self.num_tiles = num_tiles

    def add_datasample(self,
                       name: str,
                       image: np.ndarray,
                       data_sample: Optional[TubeDataSample] = None,
                       draw_gt: bool = True,
                       draw_pred: bool = True,
                       show: bool = False,
                       wait_time: float = 0,
                       out_file: Optional[str] = None,
                       step: int = 0) -> Dict[str, np.ndarray]:
        """Draw one sample and hand the pictures to the backends.

        Args:
            name (str): Name of the pictures.
            image (np.ndarray): Frames of the source video, RGB, (T, H, W, 3),
                uint8: either all of them or those of
                ``data_sample.frame_ids``.
            data_sample (:obj:`TubeDataSample`): With ground truth, prediction
                or both.
            draw_gt (bool): Whether to draw the truth.
            draw_pred (bool): Whether to draw the prediction.
            show (bool): Whether to show the contact sheet in a window.
            wait_time (float): Seconds that the window stays; 0 waits for a
                key.
            out_file (str, optional): Where to write: a ``.mp4`` gets the
                video, any other name the contact sheet.
            step (int): Global step of the pictures.

        Returns:
            dict[str, np.ndarray]: The pictures, ``sheet`` and, for a
            prediction, ``timeline``.

        Raises:
            ValueError: If the number of frames fits neither.
        """
        if data_sample is None:
            raise ValueError('a tube cannot be drawn without a data sample')
        ids = _frame_ids(image, data_sample)
        tracks = tracks_from_sample(
            data_sample, draw_gt=draw_gt, draw_pred=draw_pred)
        pictures = dict(
            sheet=self.draw_sheet(image, ids, tracks, data_sample))
        timeline = timeline_from_sample(data_sample) if draw_pred else None
        if timeline is not None:
            pictures['timeline'] = timeline
        if out_file and out_file.lower().endswith('.mp4'):
            self.write_tube_video(out_file, image, ids, tracks, data_sample)
        elif out_file:
            save_image(out_file, pictures['sheet'])
        if show:
            self.show(pictures['sheet'], win_name=name, wait_time=wait_time)
        for kind, picture in pictures.items():
            # MMEngine's local backend writes nothing, and says nothing,
            # where a name contains a slash.
            self.add_image(f'{name}_{kind}'.replace('/', '_'), picture, step)
        return pictures

    def draw_sheet(self, frames: np.ndarray, ids: np.ndarray, tracks: list,
                   data_sample: TubeDataSample) -> np.ndarray:
        """The contact sheet of the frames at hand, (H, W, 3), uint8."""
        wanted = pick_frames(data_sample.num_frames, tracks, self.num_tiles)
        # Only sampled frames may be at hand: the nearest to those wanted.
        picked = np.unique(np.abs(ids[:, None] - wanted).argmin(0))
        return contact_sheet(
            frames[picked],
            ids[picked],
            tracks,
            num_frames=data_sample.num_frames,
            fps=data_sample.get('fps', None))

    def show(self,
             drawn_img: Optional[np.ndarray] = None,
             win_name: str = 'image',
             wait_time: float = 0.,
             continue_key: str = ' ',
             backend: str = 'matplotlib') -> None:
        """Show a picture in a window, with the arguments of MMEngine's.

        On a machine without a display, where MMEngine would wait for a key
        for ever, it warns and returns.
        """
        if backend == 'matplotlib' and _has_no_window():
            warnings.warn('there is no display: the picture is not shown; '
                          'write it to a file instead', stacklevel=2)
            return None
        return super().show(drawn_img, win_name, wait_time, continue_key,
                            backend)

    def write_tube_video(self, path: str, frames: np.ndarray,
                         ids: np.ndarray, tracks: list,
                         data_sample: TubeDataSample) -> None:
        """Write the frames at hand with their tubes, in real time."""
        fps = data_sample.get('fps', None) or 25.0
        painter = TubePainter(
            frame_shape=frames.shape[1:3],
            num_frames=data_sample.num_frames,
            tracks=tracks,
            fps=fps)
        write_video(path, painter.pictures(frames, ids),
                    fps * len(ids) / data_sample.num_frames)


def _has_no_window() -> bool:
    """Whether matplotlib draws into memory or files only."""
    from matplotlib import pyplot  # picks the backend
    backend = pyplot.get_backend().lower()
    return backend in ('agg', 'cairo', 'pdf', 'pgf', 'ps', 'svg', 'template')


def _frame_ids(frames: np.ndarray,
               data_sample: TubeDataSample) -> np.ndarray:
    """Numbers of the frames at hand: all of the video, or the sampled."""
    if len(frames) == data_sample.num_frames:
        return np.arange(len(frames))
    ids = np.asarray(data_sample.get('frame_ids', ()))
    if len(frames) != len(ids):
        raise ValueError(
            f'{len(frames)} frames are neither the {data_sample.num_frames} '
            f'of the video nor the {len(ids)} sampled ones')
    return ids

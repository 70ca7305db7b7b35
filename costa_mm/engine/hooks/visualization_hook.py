# Copyright (c) costa_mm authors. All rights reserved.
"""Pictures of predictions while testing."""
import os.path as osp
import re
from typing import Any, Optional, Sequence

from mmengine.hooks import Hook

from costa_mm.registry import HOOKS
from costa_mm.structures import TubeDataSample


@HOOKS.register_module()
class TubeVisualizationHook(Hook):
    """Draw predicted and true tubes of test samples.

    The frames come from the dataset's video reader at their original size,
    only those that the model saw.  The visualizer of the config must be a
    ``TubeLocalVisualizer``.

    Args:
        draw (bool): Defaults to False, so that the hook can stand in a
            config and ``tools/test.py --show-dir`` switches it on.
        interval (int): Every so many samples of this process. Defaults to 1.
        max_samples (int, optional): No more than so many. Defaults to None.
        show (bool): In windows. Defaults to False.
        wait_time (float): Seconds per window. Defaults to 2.
        test_out_dir (str, optional): Folder for the files, as given.
        file_format (str): 'png' for contact sheets, 'mp4' for videos.

    Raises:
        ValueError: If ``file_format`` is unknown.
    """

    def __init__(self,
                 draw: bool = False,
                 interval: int = 1,
                 max_samples: Optional[int] = None,
                 show: bool = False,
                 wait_time: float = 2,
                 test_out_dir: Optional[str] = None,
                 file_format: str = 'png') -> None:
        if file_format not in ('png', 'mp4'):
            raise ValueError(f"file_format {file_format!r} is neither 'png' "
                             "nor 'mp4'")
        self.draw = draw
        self.interval = interval
        self.max_samples = max_samples
        self.show = show
        self.wait_time = wait_time
        self.test_out_dir = test_out_dir
        self.file_format = file_format
        self._seen = 0
        self._drawn = 0

    def after_test_iter(self,
                        runner,
                        batch_idx: int,
                        data_batch=None,
                        outputs: Sequence[TubeDataSample] = ()) -> None:
        """Draw the samples whose turn it is."""
        if not self.draw:
            return
        for sample in outputs:
            wanted = self._seen % self.interval == 0 and (
                self.max_samples is None or self._drawn < self.max_samples)
            self._seen += 1
            if wanted:
                self._draw(runner, sample)
                self._drawn += 1

    def _draw(self, runner, sample: TubeDataSample) -> None:
        frames = _reader_of(runner.test_dataloader.dataset).read(
            sample.video_path, sample.frame_ids)
        name = re.sub(r'[^\w.-]+', '_', str(sample.sample_id))
        out_file = None if self.test_out_dir is None else osp.join(
            self.test_out_dir, f'{name}.{self.file_format}')
        runner.visualizer.add_datasample(
            name,
            frames,
            sample,
            show=self.show,
            wait_time=self.wait_time,
            out_file=out_file,
            step=self._seen)


def _reader_of(dataset: Any) -> Any:
    """The video reader of a dataset, or of the first one in a wrapper."""
    while not hasattr(dataset, 'reader'):
        inner = getattr(dataset, 'dataset', None)
        if inner is None:
            inner = next(iter(getattr(dataset, 'datasets', ())), None)
        if inner is None:
            raise ValueError(
                f'{type(dataset).__name__} has no video reader, without '
                'which no pictures can be drawn: leave --show-dir out')
        dataset = inner
    return dataset.reader

# Copyright (c) costa_mm authors. All rights reserved.
"""Many videos, grounded by any number of processes, at any number of starts.

A job is a list of videos and a folder.  What the folder holds of a video is
whole: its tube file is written last, under a temporary name that is replaced.
So a job that was killed goes on where it was, and processes that share the
folder share the work: each holds a lock on the video it works on, which the
system takes back when the process ends, however it ends.
"""
import hashlib
import json
import os
from itertools import chain, islice
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional, Tuple, Union

import torch
from filelock import FileLock, Timeout
from tqdm import tqdm

from costa_mm.datasets import VideoReadError
from costa_mm.structures import TubeDataSample
from costa_mm.utils.files import remove_leftovers, write_json, write_text
from costa_mm.utils.parallel import prefetch
from .grounding import OpenedVideo, ground_group, group_videos
from .inputs import listed_requests, match_sentences
from .outputs import TUBE_FILE, check_outputs, draw_files, picture_paths
from .results import TubeResult, describe, dump_results
from .sources import VideoRequest, VideoSource, open_source
from .stvg_inferencer import STVGInferencer

LINES_FILE = 'results.jsonl'
LOCKS = '.locks'
RESERVED = ('tubes', 'results')  # names that a video's files must not have
# of other processes that may still be writing, nothing is removed
LEFTOVER_SECONDS = 3600.


class JobReport(NamedTuple):
    """What became of a job.

    Attributes:
        done (list[str]): Names of the videos whose results are in the folder.
        made (int): How many of them this process made now.
        failed (dict[str, str]): Path or address of every video that could
            not be grounded here, and why.
        interrupted (bool): Whether it was ended by Ctrl-C or a signal.
    """
    done: List[str]
    made: int
    failed: Dict[str, str]
    interrupted: bool


def read_list(path: Union[str, os.PathLike]) -> List[VideoRequest]:
    """Videos and their sentences from a JSON-lines file.

    A line is ``{"video": PATH_OR_ADDRESS, "sentences": [TEXT, ...]}``; a
    relative path counts from the file's folder.  "sentence" with one text is
    taken too, and so is a folder, for all of its videos.

    Args:
        path (str | Path): The file.

    Returns:
        list[:obj:`VideoRequest`]: A video that is missing is among them; the
        job tells of it like of one that cannot be decoded.

    Raises:
        FileNotFoundError: If the file is missing.
        ValueError: If a line is malformed; says which.
    """
    path = Path(path)
    entries = []
    for number, line in enumerate(path.read_text('utf-8').splitlines(), 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            video = _beside(path, entry['video'])
            texts = entry.get('sentences') or entry['sentence']
        except (ValueError, KeyError, TypeError, AttributeError) as e:
            raise ValueError(
                f'{path}, line {number}: expected {{"video": PATH, '
                f'"sentences": [TEXT, ...]}}, got {line[:80]!r}') from e
        try:
            texts, = match_sentences(texts, 1)
        except (TypeError, ValueError) as e:
            raise ValueError(f'{path}, line {number}: {e}') from e
        entries.append((video, texts))
    if not entries:
        raise ValueError(f'{path} lists no video')
    return listed_requests(entries, RESERVED)


def _beside(path: Path, video: str) -> str:
    return video if '://' in video else str(path.parent / video)


def own_place() -> tuple:
    """Number of this process among those of the launcher, and how many.

    Of torchrun or Slurm; (0, 1) without one.
    """
    for rank, world in (('RANK', 'WORLD_SIZE'),
                        ('SLURM_PROCID', 'SLURM_NTASKS')):
        if rank in os.environ and world in os.environ:
            return int(os.environ[rank]), int(os.environ[world])
    return 0, 1


def fingerprint(inferencer: STVGInferencer, **options: object) -> str:
    """What tells results of one model and its options from others'.

    Args:
        inferencer (:obj:`STVGInferencer`): The model.
        **options: Of the call.

    Returns:
        str: 16 hexadecimal digits.
    """
    digest = hashlib.blake2b(digest_size=8)
    for name, value in inferencer.model.state_dict().items():
        digest.update(name.encode())
        value = value.detach().cpu().contiguous().reshape(-1)
        digest.update(memoryview(value.view(torch.uint8).numpy()))
    for part in (inferencer.cfg.model, inferencer.transforms,
                 inferencer.calibration, sorted(options.items())):
        digest.update(repr(part).encode())
    return digest.hexdigest()


class _Claimed(OpenedVideo):
    """A video that this process alone works on."""

    def __init__(self, opened: OpenedVideo, source: VideoSource,
                 lock: FileLock) -> None:
        super().__init__(opened.windows, opened.requests)
        self.source = source
        self.lock = lock


class GroundingJob:
    """Grounds many videos, result by result.

    Per video the folder gets what :class:`STVGInferencer` writes and a tube
    file ``NAME.json``; ``results.jsonl`` gets a line per sentence as soon as
    there is one, and ``tubes.json`` holds all tubes when the job ends.

    Args:
        inferencer (:obj:`STVGInferencer`): The model.
        requests (list[:obj:`VideoRequest`]): From :func:`read_list` or
            :func:`costa_mm.apis.inputs.make_requests`.
        out_dir (str | Path): The folder.
        record_dir (str | Path, optional): Another folder for the tubes, in
            which other processes look for what is done, too.
        batch_size (int): Sentences that go through the model together.
        pred_score_thr (float, optional): See :class:`STVGInferencer`.
        attention (bool): See :class:`STVGInferencer`.
        no_save_vis (bool): Whether to write no videos and pictures.
        on_error (str): 'skip' goes on behind a video that cannot be grounded
            and tells of it at the end; 'stop' raises.
        show_progress (bool): Whether to show one bar for all of the work.

    Raises:
        OSError: If nothing can be written there.
        ValueError: If ``on_error`` is neither, or a result would be written
            over one of the videos.
    """

    def __init__(self,
                 inferencer: STVGInferencer,
                 requests: List[VideoRequest],
                 out_dir: Union[str, os.PathLike],
                 *,
                 record_dir: Union[str, os.PathLike, None] = None,
                 batch_size: int = 1,
                 pred_score_thr: Optional[float] = None,
                 attention: bool = False,
                 no_save_vis: bool = False,
                 on_error: str = 'skip',
                 show_progress: bool = True) -> None:
        if on_error not in ('skip', 'stop'):
            raise ValueError(f"on_error is 'skip' or 'stop', not {on_error!r}")
        self.inferencer = inferencer
        self.requests = requests
        self.folder = os.fspath(out_dir)
        self.records = os.fspath(record_dir or out_dir)
        self.batch_size = batch_size
        self.pred_score_thr = pred_score_thr
        self.attention = attention
        self.no_save_vis = no_save_vis
        self.on_error = on_error
        self.show_progress = show_progress
        check_outputs(self.folder, requests)
        self.mark = fingerprint(
            inferencer, score_thr=pred_score_thr, attention=attention)
        self.failed: Dict[str, str] = {}
        self.done: Dict[str, bool] = {}  # name -> whether made here and now

    # ------------------------------------------------------------- the folder
    def _path(self, name: str) -> str:
        return os.path.join(self.records, name)

    def _lock(self, name: str) -> FileLock:
        os.makedirs(self._path(LOCKS), exist_ok=True)
        # taken by the thread that decodes, given back by the one that writes
        return FileLock(
            os.path.join(self._path(LOCKS), name), thread_local=False)

    def read_done(self, request: VideoRequest) -> Optional[dict]:
        """The tube file of a video if it is of this job, else None."""
        try:
            tubes = self._read_tubes(request)
        except (OSError, ValueError):
            return None
        asked = {i: (request.path, text) for i, text in request.requests()}
        known = {i: (tube.get('video'), tube.get('sentence'))
                 for i, tube in tubes.items()}
        same = all(tube.get('job') == self.mark for tube in tubes.values())
        drawn = self.no_save_vis or os.path.exists(
            os.path.join(self.folder, f'{request.name}.mp4'))
        return tubes if known == asked and same and drawn else None

    def _read_tubes(self, request: VideoRequest) -> dict:
        with open(self._path(f'{request.name}.json'), 'rb') as f:
            return json.loads(f.read())

    def _remove_pictures(self, request: VideoRequest) -> None:
        """Remove what an earlier job in this folder drew of the video."""
        try:
            samples = list(self._read_tubes(request))
        except (OSError, ValueError, TypeError):
            return
        for sample_id in samples:
            for path in picture_paths(self.folder, sample_id):
                Path(path).unlink(missing_ok=True)

    def _save(self, video: _Claimed, samples: List[TubeDataSample]) -> None:
        """Write a video's results; its tube file comes last."""
        source = video.source
        results = [
            TubeResult.from_sample(sample, self.pred_score_thr,
                                   self.inferencer.calibration, source.seconds)
            for sample in samples
        ]
        try:
            if not self.no_save_vis:
                self._remove_pictures(source)
                draw_files(self.folder, source, results, samples)
        except VideoReadError as e:  # in a part that the model did not see
            self._fail(source, e)
            return
        dump_results(results, self._path(f'{source.name}.json'), job=self.mark)
        self.done[source.name] = True
        with self._lock('results'):
            with open(self._path(LINES_FILE), 'a', encoding='utf-8') as f:
                f.write(_lines({r.sample_id: r.to_dict() for r in results}))

    def describe(self) -> Iterator[str]:
        """Two lines per sentence, of all videos that are done."""
        for request in self.requests:
            for entry in (self.read_done(request) or {}).values():
                yield describe(entry)

    def _collect(self, final: bool) -> None:
        """Bring the files for all videos in order with what there is.

        A process that was killed may have left half a line, or none.
        """
        with self._lock('results'):
            found = {r.name: self.read_done(r) for r in self.requests}
            lines, everything = '', {}
            for name, tubes in found.items():
                if tubes is not None:
                    self.done.setdefault(name, False)
                    lines += _lines(tubes)
                    everything.update(tubes if final else {})
            write_text(lines, self._path(LINES_FILE))
            if final:
                write_json(everything, self._path(TUBE_FILE))

    # --------------------------------------------------------------- the work
    def run(self) -> JobReport:
        """Ground what is not grounded yet.

        Returns:
            JobReport: Also after Ctrl-C, which keeps all that is done.

        Raises:
            OSError, ValueError: With ``on_error='stop'``, of a video that
                cannot be grounded; else only if nothing can be written.
        """
        for folder in {self.folder, self.records}:
            os.makedirs(folder, exist_ok=True)
            remove_leftovers(folder, LEFTOVER_SECONDS)
        self._collect(final=False)
        interrupted = False
        with tqdm(total=len(self.requests), initial=len(self.done),
                  desc='grounding', unit='video',
                  disable=not self.show_progress) as bar:
            try:
                # again, for what another process took and did not finish
                while self._ground_all(bar):
                    pass
            except KeyboardInterrupt:
                interrupted = True
        self._collect(final=True)
        return JobReport(
            sorted(self.done), sum(self.done.values()), dict(self.failed),
            interrupted)

    def _ground_all(self, bar: tqdm) -> int:
        """Ground all that nobody has or holds; how many that were."""
        count = 0
        videos = prefetch(self._claim_videos(bar))
        for group in group_videos(videos, self.batch_size):
            for video, samples in self._ground(group):
                self._save(video, samples)
            for video in group:
                self._release(video.lock)
                bar.update()
            count += len(group)
        return count

    def _claim_videos(self, bar: tqdm) -> Iterator[_Claimed]:
        """Open videos that are this process's to ground, each locked."""
        rank, world = own_place()
        first = rank * len(self.requests) // world
        for request in self.requests[first:] + self.requests[:first]:
            if request.name in self.done or request.place in self.failed:
                continue
            lock = self._lock(f'video_{request.name}')
            try:
                lock.acquire(timeout=0)
            except Timeout:  # another process has it
                continue
            if self.read_done(request) is not None:
                self.done[request.name] = False
                self._release(lock)
                bar.update()
                continue
            try:
                source = open_source(request, self.inferencer.reader)
                video = self.inferencer.open_video(source).decode()
            except (OSError, ValueError) as e:
                self._release(lock)
                self._fail(request, e)
                bar.update()
            else:
                yield _Claimed(video, source, lock)

    def _ground(
        self, group: List[_Claimed]
    ) -> List[Tuple[_Claimed, List[TubeDataSample]]]:
        """The samples of every video of a group that can be grounded."""
        try:
            samples = chain.from_iterable(
                ground_group(self.inferencer.model, group, self.batch_size,
                             self.attention))
            return [(video, list(islice(samples, len(video.requests))))
                    for video in group]
        except (OSError, ValueError) as e:
            if len(group) == 1:
                self._fail(group[0].source, e)
                return []
            # one of them; the others are not to suffer
            return [done for video in group for done in self._ground([video])]

    def _fail(self, request: VideoRequest, error: Exception) -> None:
        if self.on_error == 'stop':
            raise error
        self.failed[request.place] = f'{type(error).__name__}: {error}'

    @staticmethod
    def _release(lock: FileLock) -> None:
        """Give a video free; who waits looks again whether it is done."""
        if os.path.exists(lock.lock_file):
            os.remove(lock.lock_file)
        lock.release()


def _lines(tubes: Dict[str, dict]) -> str:
    """A line per sentence, without boxes."""
    keys = ('video', 'sentence', 'found', 'confidence', 'span',
            'span_seconds')
    return ''.join(
        json.dumps(dict(sample_id=i, **{k: tube.get(k) for k in keys}),
                   ensure_ascii=False) + '\n' for i, tube in tubes.items())

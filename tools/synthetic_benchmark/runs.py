# Copyright (c) costa_mm authors. All rights reserved.
"""Training and evaluating one method with one seed, as often as it takes."""
import fcntl
import json
import os
import platform
import queue
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Sequence, Tuple

from mmengine.config import Config

from costa_mm.utils.files import write_json
from .protocol import LOADERS, BenchmarkProtocol, Scale, config_digest

#: What tools/train.py returns after it has saved an interrupted run.
INTERRUPTED_EXIT_CODE = 75
_POLL_SECONDS = 0.2
_TAIL_LINES = 15


class RunFailed(RuntimeError):
    """A training or an evaluation ended with an error."""


class Stopper:
    """Says when to stop: at a time, or when told to.

    Args:
        seconds (float, optional): From now on; without, only when told to.
    """

    def __init__(self, seconds: Optional[float] = None) -> None:
        self._end = None if seconds is None else time.monotonic() + seconds
        self._told = threading.Event()

    def stop(self) -> None:
        """Tell everybody to stop."""
        self._told.set()

    def __bool__(self) -> bool:
        late = self._end is not None and time.monotonic() >= self._end
        return late or self._told.is_set()


@dataclass(frozen=True)
class Run:
    """One method, one seed, one folder.

    Args:
        method (str): Name of the method.
        seed (int): Seed of the training.
        folder (Path): Everything about the run lies here.
    """
    method: str
    seed: int
    folder: Path

    @property
    def done_file(self) -> Path:
        """Written when everything else is."""
        return self.folder / 'done.json'

    @property
    def predictions(self) -> Path:
        """Tubes predicted for the test split."""
        return self.folder / 'predictions.json'

    def done(self) -> Optional[dict]:
        """The record of a finished run."""
        if not self.done_file.is_file():
            return None
        return json.loads(self.done_file.read_text(encoding='utf-8'))

    def state(self, digest: Optional[str]) -> str:
        """'done', 'stale' (done with other settings), 'begun' or 'new'."""
        record = self.done()
        if record is not None:
            return 'done' if record['digest'] == digest else 'stale'
        return 'begun' if (self.folder / 'train').exists() else 'new'


def make_runs(out_dir: Path, scale: Scale, methods: Sequence[str],
              seeds: Sequence[int]) -> List[Run]:
    """All runs asked for; every method's first seed comes first."""
    return [
        Run(m, s,
            Path(out_dir) / scale.name / m / f'seed{s}') for s in seeds
        for m in methods
    ]


class Executor:
    """Executes runs with the tools of this repository.

    Args:
        tools (Path): Folder of ``train.py`` and ``test.py``.
        protocol (BenchmarkProtocol): What is fixed.
        scale (Scale): At which size.
        data_root (Path): The data.
        shuffled (Path): Annotations of the test split with the sentences
            exchanged.
        threads (int): Threads of a process on the CPU.
        stopper (Stopper): When to stop.
    """

    def __init__(self, tools: Path, protocol: BenchmarkProtocol, scale: Scale,
                 data_root: Path, shuffled: Path, threads: int,
                 stopper: Stopper) -> None:
        self.tools = Path(tools)
        self.protocol = protocol
        self.scale = scale
        self.data_root = Path(data_root).resolve()
        self.shuffled = Path(shuffled).resolve()
        self.threads = threads
        self.stopper = stopper

    def execute(self, run: Run, device: Optional[str] = None) -> bool:
        """Do what is left of a run.

        Args:
            run (Run): The run.
            device (str, optional): For ``CUDA_VISIBLE_DEVICES``.

        Returns:
            bool: Whether it is done; otherwise it was told to stop, or
            another process is at it.

        Raises:
            RunFailed: If a step ends with an error.
        """
        cfg = self.protocol.check_config(self.scale, run.method)
        digest = config_digest(cfg)
        run.folder.mkdir(parents=True, exist_ok=True)
        with lock(run.folder / 'lock') as mine:
            if not mine:
                return False
            if run.state(digest) == 'stale':
                raise RunFailed(
                    f'{run.folder} was run with other settings; move it away '
                    'or give another --out')
            if run.state(digest) == 'done':
                return True
            config = self._write_config(run, cfg)
            for name, command in self._steps(run, config):
                if not self._step(run, name, command, device):
                    return False
            self._write_done(run, digest)
        return True

    def _write_config(self, run: Run, cfg: Config) -> Path:
        for loader in LOADERS:
            cfg[loader].dataset.data_root = str(self.data_root)
        cfg.randomness = dict(seed=run.seed)
        path = run.folder / 'config.py'
        cfg.dump(str(path))
        return path

    def _steps(self, run: Run,
               config: Path) -> Iterator[Tuple[str, List[str]]]:
        """Names and commands, each made when it is its turn."""
        folder = run.folder
        yield 'train', ['train.py', config, '--work-dir', folder / 'train',
                        '--resume']
        test = ['test.py', config, last_checkpoint(folder / 'train')]
        yield 'test', test + [
            '--work-dir', folder / 'test', '--out', run.predictions,
            '--metrics-out', folder / 'metrics.json'
        ]
        yield 'shuffled', test + [
            '--work-dir', folder / 'test', '--metrics-out',
            folder / 'metrics_shuffled.json', '--cfg-options',
            f'test_dataloader.dataset.ann_file={self.shuffled}'
        ]

    def _step(self, run: Run, name: str, command: List,
              device: Optional[str]) -> bool:
        """Run a command unless it is done; False if it was stopped."""
        path = run.folder / 'steps.json'
        steps = json.loads(path.read_text()) if path.is_file() else {}
        entry = steps.setdefault(name, dict(seconds=0., pieces=0, ended=False))
        if entry['ended']:
            return True
        if self.stopper:
            return False
        log = run.folder / f'{name}.log'
        began = time.monotonic()
        code = self._call([sys.executable, self.tools / command[0]] +
                          command[1:], log, device)
        entry['seconds'] += time.monotonic() - began
        entry['pieces'] += 1
        entry['ended'] = code == 0
        write_json(steps, path, indent=1)
        if code and not (self.stopper or code == INTERRUPTED_EXIT_CODE):
            raise RunFailed(f'{run.method}, seed {run.seed}: {name} ended '
                            f'with code {code}; the end of {log}:\n'
                            f'{tail(log)}')
        return code == 0

    def _call(self, command: List, log: Path, device: Optional[str]) -> int:
        env = dict(os.environ, OMP_NUM_THREADS=str(self.threads))
        env.setdefault('TOKENIZERS_PARALLELISM', 'false')
        # glibc gives every large buffer back to the kernel and asks for it
        # again, which costs more than the arithmetic on a CPU
        env.setdefault('MALLOC_MMAP_MAX_', '0')
        env.setdefault('MALLOC_TRIM_THRESHOLD_', '100000000000')
        if device is not None:
            env['CUDA_VISIBLE_DEVICES'] = device
        with open(log, 'a', encoding='utf-8') as f:
            process = subprocess.Popen([str(c) for c in command],
                                       stdout=f,
                                       stderr=subprocess.STDOUT,
                                       env=env)
            told = False
            while process.poll() is None:
                if self.stopper and not told:
                    process.terminate()
                    told = True
                time.sleep(_POLL_SECONDS)
        return process.returncode

    def _write_done(self, run: Run, digest: str) -> None:
        steps = json.loads((run.folder / 'steps.json').read_text())
        done = dict(
            method=run.method,
            seed=run.seed,
            scale=self.scale.name,
            protocol_version=self.protocol.version,
            digest=digest,
            seconds={k: round(v['seconds'], 1)
                     for k, v in steps.items()},
            pieces={k: v['pieces']
                    for k, v in steps.items()},
            environment=environment(self.threads))
        write_json(done, run.done_file, indent=1)


def execute_runs(executor: Executor,
                 runs: Sequence[Run],
                 devices: Sequence[Optional[str]],
                 report=print) -> Dict[Tuple[str, int], str]:
    """Execute runs, as many at once as there are devices.

    Args:
        executor (Executor): How.
        runs (Sequence[Run]): What.
        devices (Sequence[str | None]): For ``CUDA_VISIBLE_DEVICES`` of each
            job; None keeps the environment's.
        report (callable): Takes a line per run.

    Returns:
        dict[tuple[str, int], str]: Messages of the runs that failed.
    """
    free: queue.Queue = queue.Queue()
    for device in devices:
        free.put(device)
    failures = {}

    def work(run: Run) -> None:
        if executor.stopper:
            return
        device = free.get()
        try:
            done = executor.execute(run, device)
            report(f'{run.method} seed {run.seed}: '
                   f'{"done" if done else "not finished"}')
        except (RunFailed, OSError, ValueError) as e:
            failures[run.method, run.seed] = str(e)
            report(f'{run.method} seed {run.seed}: failed\n{e}')
        finally:
            free.put(device)

    with ThreadPoolExecutor(len(devices)) as pool:
        list(pool.map(work, runs))
    return failures


def last_checkpoint(work_dir: Path) -> Path:
    """The checkpoint of the last iteration.

    Raises:
        RunFailed: If the training left none.
    """
    pointer = work_dir / 'last_checkpoint'
    if not pointer.is_file():
        raise RunFailed(f'{work_dir} holds no checkpoint')
    path = Path(pointer.read_text(encoding='utf-8').strip())
    return path if path.is_absolute() else work_dir / path.name


@contextmanager
def lock(path: Path) -> Iterator[bool]:
    """Whether this process alone holds a file; freed when the process ends."""
    with open(path, 'w') as f:
        try:
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def environment(threads: int) -> dict:
    """What a run was run on."""
    import torch
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return dict(
        python=platform.python_version(),
        torch=torch.__version__,
        machine=platform.machine(),
        cpus=os.cpu_count(),
        threads=threads,
        gpu=gpu)


def tail(path: Path) -> str:
    """The last lines of a log."""
    lines = path.read_text(encoding='utf-8', errors='replace').splitlines()
    return '\n'.join(lines[-_TAIL_LINES:])

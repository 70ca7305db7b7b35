# Copyright (c) costa_mm authors. All rights reserved.
"""Other engines for the part of a model that takes the time: its backbone.

``tools/model_converters/export_model.py --part backbone`` writes the graph.
Words, fusion, decoders and everything after them stay PyTorch's, so a video
is still encoded once for all of its sentences, in windows where it is long.
"""
import os
from typing import Callable, Dict, List, Optional, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

# one video (1, 3, T, H, W), float32, to its maps by name
Graph = Callable[[np.ndarray], Dict[str, np.ndarray]]


def _missing(package: str, error: ImportError) -> ImportError:
    return ImportError(
        f'backend {package!r} needs its package: pip install {package} '
        f'({error})')


def load_onnxruntime(path: str, threads: int) -> Graph:
    """A graph run by ONNX Runtime on the CPU."""
    try:
        import onnxruntime
    except ImportError as e:
        raise _missing('onnxruntime', e) from e
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        path, options, providers=['CPUExecutionProvider'])
    name = session.get_inputs()[0].name
    outputs = [x.name for x in session.get_outputs()]

    def run(video: np.ndarray) -> Dict[str, np.ndarray]:
        return dict(zip(outputs, session.run(outputs, {name: video})))

    return run


def load_openvino(path: str, threads: int) -> Graph:
    """A graph run by OpenVINO on the CPU, in the precision it is written in.

    On processors with 16-bit instructions OpenVINO would round otherwise.
    """
    try:
        import openvino
    except ImportError as e:
        raise _missing('openvino', e) from e
    compiled = openvino.Core().compile_model(path, 'CPU', {
        'INFERENCE_PRECISION_HINT': 'f32',
        'INFERENCE_NUM_THREADS': threads
    })
    outputs = [x.get_any_name() for x in compiled.outputs]

    def run(video: np.ndarray) -> Dict[str, np.ndarray]:
        found = compiled(video)
        return {name: found[i] for i, name in enumerate(outputs)}

    return run


BACKENDS: Dict[str, Callable[[str, int], Graph]] = dict(
    onnxruntime=load_onnxruntime, openvino=load_openvino)


class GraphBackbone(nn.Module):
    """A backbone that another engine runs; prediction only.

    Every video runs by itself, with its own number of frames.

    Args:
        backend (str): 'onnxruntime' or 'openvino'.
        path (str): The backbone's graph, ONNX.
        threads (int, optional): Threads of the engine; PyTorch's number by
            default.

    Raises:
        FileNotFoundError: If there is no graph.
        ImportError: If the engine is not installed.
        ValueError: If there is no such backend.
    """

    def __init__(self,
                 backend: str,
                 path: str,
                 threads: Optional[int] = None) -> None:
        super().__init__()
        if backend not in BACKENDS:
            raise ValueError(f'backend {backend!r} is none of '
                             f"{['pytorch', *BACKENDS]}")
        if not os.path.isfile(path):
            raise FileNotFoundError(
                f'there is no graph {path}: write it with '
                'tools/model_converters/export_model.py --part backbone')
        self.run = BACKENDS[backend](path, threads or torch.get_num_threads())

    def forward(self,
                x: Tensor,
                durations: Optional[Sequence[int]] = None
                ) -> Dict[str, Tensor]:
        """Encode videos.

        Args:
            x (Tensor): Videos (N, 3, T, H, W).
            durations (Sequence[int], optional): Valid frames of each video;
                all T by default.

        Returns:
            dict[str, Tensor]: 'features' and what else the graph gives, each
            (N, C', T, h, w), zeros on padded frames.
        """
        total = x.shape[2]
        maps: List[Dict[str, Tensor]] = []
        for video, length in zip(x, durations or [total] * len(x)):
            found = self.run(video[None, :, :length].float().cpu().numpy())
            maps.append({
                # the engine's memory is its own
                name: F.pad(torch.tensor(value, device=x.device),
                            (0, 0, 0, 0, 0, total - length))
                for name, value in found.items()
            })
        return {name: torch.cat([m[name] for m in maps]) for name in maps[0]}

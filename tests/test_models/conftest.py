# Copyright (c) costa_mm authors. All rights reserved.
"""Fixtures of the model tests."""
from pathlib import Path
from typing import Callable, Dict

import numpy as np
import pytest
import torch

import costa_mm.models  # noqa: F401  before anything of mmdet

DATA = Path(__file__).resolve().parents[1] / 'data'


@pytest.fixture
def golden() -> Callable[[str], Dict[str, torch.Tensor]]:
    """Loads numbers of the published implementations as tensors."""

    def load(name: str) -> Dict[str, torch.Tensor]:
        with np.load(DATA / f'{name}.npz', allow_pickle=False) as file:
            return {
                k: torch.from_numpy(file[k])
                for k in file.files if file[k].dtype.kind != 'U'
            }

    return load

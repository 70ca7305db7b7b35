# Copyright (c) costa_mm authors. All rights reserved.
"""The backbone's last features of whole splits, computed once."""
import copy
import hashlib
import json
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Dict, List, Optional, Sequence

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from torch import Tensor, nn
from tqdm import tqdm

from costa_mm.models.heads.targets import TubeTargets, collect_targets
from costa_mm.registry import DATASETS
from costa_mm.structures import TextFeatures, TubeDataSample, VisualFeatures
from costa_mm.utils import atomic_path, write_text
from costa_mm.utils.configs import dataset_of, iter_transforms


@dataclass
class Clips:
    """What is known of the clips of a split.

    Args:
        features (Tensor): y_4 of all clips, (N, T, C', h, w), float16; clips
            are equally long.
        samples (list[TubeDataSample]): N of them.
        words (dict[str, Tensor]): Tokens of every sentence, (L, C).
        rests (list[np.ndarray], optional): Source frames of a video in which
            the target rests, (T', ), bool, where scenes are known.
    """
    features: Tensor
    samples: List[TubeDataSample]
    words: Dict[str, Tensor]
    rests: Optional[List[np.ndarray]] = None

    def __post_init__(self) -> None:
        self.targets: TubeTargets = collect_targets(
            self.samples, torch.zeros(self.features.shape[:2]).bool())

    def __len__(self) -> int:
        return len(self.samples)

    def to(self, device: str) -> 'Clips':
        """The same clips, with features, targets and tokens on a device."""
        words = {k: v.to(device) for k, v in self.words.items()}
        out = Clips(self.features.to(device), self.samples, words, self.rests)
        out.targets = TubeTargets(*(
            x.to(device) if isinstance(x, Tensor) else x
            for x in self.targets))
        return out

    def visual(self, index: Sequence[int]) -> VisualFeatures:
        """What the neck reads of some clips."""
        features = self.features[index].float()
        num, length, _, height, width = features.shape
        nothing = features.new_zeros
        return VisualFeatures(features,
                              nothing((num, length), dtype=torch.bool),
                              nothing((num, height, width), dtype=torch.bool))

    def truth(self, index: Sequence[int], draws: np.ndarray) -> TubeTargets:
        """Targets of some clips, with the draws that beta decides by."""
        return TubeTargets(
            *(x[index] for x in self.targets[:5]),
            draws=torch.from_numpy(draws).float().to(self.features.device))


class SentenceTable(nn.Module):
    """A text encoder that knows some sentences by heart.

    Args:
        words (dict[str, Tensor]): Tokens of every sentence, (L, C).
    """

    def __init__(self, words: Dict[str, Tensor]) -> None:
        super().__init__()
        self.words = words

    def forward(self, sentences: Sequence[str]) -> TextFeatures:
        """Sentences to tokens (B, L, C), padded."""
        tokens = [self.words[s] for s in sentences]
        padded = nn.utils.rnn.pad_sequence(tokens, batch_first=True)
        lengths = torch.tensor([len(t) for t in tokens], device=padded.device)
        places = torch.arange(padded.shape[1], device=padded.device)
        return TextFeatures(padded, places >= lengths[:, None])


def cache_clips(model: nn.Module, cfg: Config, path: Path) -> None:
    """Write ``train.pt`` (every clip, then every clip mirrored), ``test.pt``.

    Args:
        model (nn.Module): The trained grounder, in eval mode.
        cfg (Config): Its config.
        path (Path): Folder; files that are there stay, if they are of the
            same weights.

    Raises:
        ValueError: If there are features of other weights.
    """
    path.mkdir(parents=True, exist_ok=True)
    _note_weights(model, path)
    for split, flips in (('test', (None, )), ('train', (0., 1.))):
        file = path / f'{split}.pt'
        if file.exists():
            continue
        parts = [_encode(model, cfg, split, flip) for flip in flips]
        samples = [s for part in parts for s in part[1]]
        clips = dict(
            features=torch.cat([part[0] for part in parts]),
            samples=samples,
            words=_encode_words(model, samples),
            rests=_find_rests(cfg, split, samples))
        with atomic_path(file) as half:
            torch.save(clips, half)


def _note_weights(model: nn.Module, path: Path) -> None:
    """Write down whose features a folder has, or compare."""
    note, own = path / 'weights.sha1', _weights_hash(model)
    if note.exists():
        if note.read_text(encoding='utf-8').strip() != own:
            raise ValueError(
                f'{path} has features of another checkpoint: choose another '
                f'--out, or remove {path} and the runs made with it')
    elif list(path.glob('*.pt')):
        print(f'{path}: features that do not say of which checkpoint they '
              'are, kept as they are')
    else:
        write_text(own + '\n', note)


def _weights_hash(model: nn.Module) -> str:
    """SHA-1 of the weights that features and tokens depend on."""
    digest = hashlib.sha1()
    for part in ('backbone', 'text_encoder'):
        module = getattr(model, part)
        for name, tensor in chain(module.named_parameters(),
                                  module.named_buffers()):
            data = tensor.detach().cpu().contiguous()
            digest.update(f'{part}.{name} {data.dtype}'.encode())
            digest.update(data.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def load_clips(file: Path) -> Clips:
    """Read what :func:`cache_clips` wrote."""
    return Clips(**torch.load(file, weights_only=False))


@torch.no_grad()
def _encode(model: nn.Module, cfg: Config, split: str,
            flip: Optional[float], batch_size: int = 20):
    """Features and samples of a split, mirrored with a probability."""
    kind = copy.deepcopy(dataset_of(cfg, split))
    for transform in iter_transforms(kind['pipeline']):
        if flip is not None and transform['type'].endswith('FlipWithText'):
            transform['prob'] = flip
    dataset = DATASETS.build(dict(kind, on_error='raise'))
    features, samples = [], []
    for first in tqdm(range(0, len(dataset), batch_size), split):
        last = min(first + batch_size, len(dataset))
        data = model.data_preprocessor(
            pseudo_collate([dataset[i] for i in range(first, last)]), False)
        (visual, ) = model.encode_video(data['inputs'])
        features.append(visual.features.half())
        samples += data['data_samples']
    return torch.cat(features), samples


@torch.no_grad()
def _encode_words(model: nn.Module,
                  samples: Sequence[TubeDataSample]) -> Dict[str, Tensor]:
    words = {}
    for sentence in sorted({s.sentence for s in samples}):
        text = model.encode_text([sentence])
        words[sentence] = text.tokens[0, ~text.mask[0]].clone()
    return words


def _find_rests(cfg: Config, split: str, samples: Sequence[TubeDataSample]
                ) -> Optional[List[np.ndarray]]:
    dataset = dataset_of(cfg, split)
    file = Path(dataset['data_root']) / f'{split}_scenes.json'
    if not file.exists():
        return None
    scenes = json.loads(file.read_text(encoding='utf-8'))
    rests = []
    for sample in samples:
        scene = scenes[Path(sample.video_path).name]
        rest = np.ones(sample.num_frames, dtype=bool)
        for _, start, end, _ in scene['objects'][scene['target']]['script']:
            rest[start:end] = False
        rests.append(rest)
    return rests

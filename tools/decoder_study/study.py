# Copyright (c) costa_mm authors. All rights reserved.
"""The rows of the study, and what is known of each."""
import copy
import hashlib
import json
from pathlib import Path
from typing import Dict, List, Optional

from mmengine.config import Config

from .runs import Recipe, Start


class Study:
    """A study file: recipe, seeds, backbones and rows.

    A row is CoSTA's neck and head on cached features, except for what it
    says: ``config``, from whose model it takes both, relative to the study
    file; ``model``, which is merged into them; ``start``, a :class:`Start`;
    ``backbone``, on whose features it is trained; ``cell_until``, see
    :func:`train_row`.

    Args:
        path (Path): The file.

    Raises:
        ValueError: If it names a row or a backbone that it lacks.
    """

    def __init__(self, path: Path) -> None:
        data = json.loads(path.read_text(encoding='utf-8'))
        self.folder = path.parent
        self.config = data['config']
        self.recipe = Recipe(**data['recipe'])
        self.seeds = data['seeds']
        self.backbones: Dict[str, str] = data['backbones']
        self.rows: Dict[str, dict] = data['rows']
        self.tables: Dict[str, List[str]] = data['tables']
        named = {n for rows in self.tables.values() for n in rows}
        self.check(sorted(named))
        for name in self.rows:
            if self.backbone(name) not in self.backbones:
                raise ValueError(f'{path}: row {name} has no backbone')

    def check(self, names: List[str]) -> None:
        """Raise ValueError for rows that there are not."""
        unknown = [n for n in names if n not in self.rows]
        if unknown:
            raise ValueError(f'no such rows: {unknown}; there are '
                             f'{", ".join(self.rows)}')

    def title(self, row: str) -> str:
        """What tables call a row."""
        return self.rows[row]['title']

    def backbone(self, row: str) -> str:
        """On whose features a row is trained."""
        return self.rows[row].get('backbone', next(iter(self.backbones)))

    def base_config(self) -> Config:
        """Config of the backbones' training, and of CoSTA's row."""
        return Config.fromfile(self.folder / self.config)

    def model(self, row: str) -> Config:
        """Neck, head and options of prediction."""
        base = self.base_config()
        entry, model = self.rows[row], copy.deepcopy(base.model)
        if 'config' in entry:
            other = Config.fromfile(self.folder / entry['config']).model
            model.neck, model.head = other.neck, other.head
        merged = Config(dict(model=model))
        merged.merge_from_dict(dict(model=entry.get('model', {})))
        return merged.model

    def training(self, row: str) -> dict:
        """Further arguments of :func:`run_row`."""
        entry = self.rows[row]
        return dict(
            start=Start(**entry.get('start', {})),
            cell_until=entry.get('cell_until', 1.))

    def digest(self, row: str) -> str:
        """Of everything that decides a row's result but backbone and seed."""
        model = self.model(row)
        text = json.dumps([
            model.neck.to_dict(), model.head.to_dict(), self.recipe,
            self.rows[row].get('cell_until', 1.),
            self.rows[row].get('start', {})
        ], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def read_run(self, out: Path, row: str, seed: int) -> Optional[dict]:
        """A finished run of the present row, or None."""
        file = self.run_file(out, row, seed)
        if not file.exists():
            return None
        run = json.loads(file.read_text(encoding='utf-8'))
        return run if run['digest'] == self.digest(row) else None

    @staticmethod
    def run_file(out: Path, row: str, seed: int) -> Path:
        """Where a run's figures lie."""
        return out / 'runs' / row / f'seed{seed}.json'

# Copyright (c) costa_mm authors. All rights reserved.
"""Whether a split can be scored, asked before the first epoch."""
from mmengine.runner import BaseLoop


def check_truth(loop: BaseLoop) -> BaseLoop:
    """Refuse to score sentences without ground truth before work begins.

    Metrics say ``needs_truth``, datasets have ``check_truth``; what has
    neither is not looked at.

    Args:
        loop (BaseLoop): A validation or test loop.

    Returns:
        BaseLoop: The same loop.

    Raises:
        ValueError: Naming sentences without truth and the ways out.
    """
    metrics = loop.evaluator.metrics
    todo = [loop.dataloader.dataset] if any(
        getattr(metric, 'needs_truth', False) for metric in metrics) else []
    while todo:
        dataset = todo.pop()
        todo += getattr(dataset, 'datasets', [])  # wrappers
        todo += [dataset.dataset] if hasattr(dataset, 'dataset') else []
        if hasattr(dataset, 'check_truth'):
            dataset.check_truth()
    return loop

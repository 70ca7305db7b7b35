# Copyright (c) costa_mm authors. All rights reserved.
"""One switch for everything that can recompute its activations."""
import copy

# parts of a backbone that have a ``with_cp`` of their own; a frozen motion
# pathway keeps no activations
PATHWAYS = ('spatial', 'temporal')


def checkpointed(part: dict) -> dict:
    """The config of a backbone or neck, with ``with_cp`` where it belongs.

    Args:
        part (dict): Config of a module, or of one with pathways.

    Returns:
        dict: A copy.

    Raises:
        TypeError: If it is a module, whose blocks are made already.
    """
    if not isinstance(part, dict):
        raise TypeError('with_cp=True needs configs, and '
                        f'{type(part).__name__} is a module: give it with_cp '
                        'when it is made')
    part = copy.deepcopy(part)
    pathways = [part[name] for name in PATHWAYS if part.get(name)]
    for one in pathways or [part]:
        one['with_cp'] = True
    return part

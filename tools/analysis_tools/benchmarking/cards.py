# Copyright (c) costa_mm authors. All rights reserved.
"""What fits on a card, and how long it would take there."""
from typing import Dict, Iterable, NamedTuple, Optional, Tuple

#: Bytes of CUDA's context and of libraries.
CONTEXT = 2**30
#: Workspaces of convolutions and fragments, as a factor of live tensors.
ROOM = 1.1


class Card(NamedTuple):
    """A card as its maker describes it.

    Attributes:
        name (str): Its name.
        gib (int): Memory.
        rate (float): Operations per second of dense matrix products of 16
            bits with sums of 32 bits.
    """
    name: str
    gib: int
    rate: float


CARDS = (
    Card('V100 16 GB', 16, 125e12),
    Card('RTX 3090 24 GB', 24, 71e12),
    Card('A100 40 GB', 40, 312e12),
    Card('H100 80 GB', 80, 989e12),
)


def fits(live_bytes: float, card_bytes: float) -> bool:
    """Whether tensors that take so much at once fit on a card."""
    return ROOM * live_bytes + CONTEXT <= card_bytes


def first_that_fits(
        counted: Iterable[Tuple[str, dict]],
        card: Card) -> Optional[Tuple[str, dict]]:
    """The first setting that a card has room for.

    Args:
        counted (Iterable[tuple[str, dict]]): Settings, the wanted ones first,
            and what :func:`count_training` gave for each.
        card (Card): The card.

    Returns:
        tuple[str, dict] or None: A setting and its count; None if none fits.
    """
    return next((found for found in counted
                 if fits(found[1]['live_bytes'], card.gib * 2**30)), None)


def hours(counted: Dict[str, float], videos: int, card: Card,
          share: float) -> float:
    """Hours of an epoch on one card.

    Args:
        counted (dict): What :func:`count_training` gave for one video.
        videos (int): Videos of an epoch.
        card (Card): The card.
        share (float): Part of the card's rate that is reached.
    """
    return videos * counted['flops'] / (share * card.rate) / 3600

# Copyright (c) costa_mm authors. All rights reserved.
"""What H.264 packets say without being decoded."""
import av


def nal_prefix(context: 'av.CodecContext') -> int:
    """Bytes of the length before each unit of an H.264 packet.

    Returns:
        int: 0 for other codecs and for streams with start codes.
    """
    extra = context.extradata or b''
    if context.name != 'h264' or len(extra) < 5 or extra[0] != 1:
        return 0
    return (extra[4] & 3) + 1


def is_disposable(packet: bytes, prefix: int) -> bool:
    """Whether no other picture refers to the picture of an H.264 packet.

    Its slices then all have ``nal_ref_idc`` 0 (ITU-T H.264, 7.4.1).  FFmpeg
    could skip such frames itself (``skip_frame``), but then it also passes
    over broken packets without an error.

    Args:
        packet (bytes): Units with a length before each.
        prefix (int): Bytes of that length.

    Returns:
        bool: False too if the packet is broken.
    """
    at, slices = 0, 0
    while at + prefix < len(packet):
        size = int.from_bytes(packet[at:at + prefix], 'big')
        unit = packet[at + prefix]
        if 1 <= unit & 31 <= 5:
            if unit >> 5 & 3:
                return False
            slices += 1
        at += prefix + size
    return slices > 0 and at == len(packet)

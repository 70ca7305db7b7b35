# CoSTA on HC-STVG v1 with one card of 24 GB, the updates of the 8-GPU recipe:
#   python tools/train.py configs/costa_hcstvg_1x24g.py
# docs/en/benchmarks.md says what it takes.
_base_ = './costa_hcstvg.py'
# blocks and layers keep their inputs and compute the rest again
model = dict(with_cp=True)
# one video at a time, an update after every 8: what 8 GPUs do at once, so
# rates, clipping and schedule stay
optim_wrapper = dict(
    type='STVGAmpOptimWrapper', dtype='bfloat16', accumulative_counts=8)
# one average per update, not per video
*others, average = _base_.custom_hooks
custom_hooks = [*others, dict(average, interval=8)]
del others, average

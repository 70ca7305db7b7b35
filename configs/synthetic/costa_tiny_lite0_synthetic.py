# CoSTA-tiny with a pretrained, frozen 2D pathway on the synthetic benchmark,
# level easy: to compare with costa_tiny_synthetic.py, which learns both.
_base_ = [
    '../_base_/models/costa_tiny_lite0.py', '../_base_/datasets/synthetic.py',
    '../_base_/schedules/costa_tiny.py', '../_base_/default_runtime.py'
]

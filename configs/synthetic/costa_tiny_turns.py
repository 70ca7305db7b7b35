# CoSTA-tiny on level turns, where look-alikes rest together in the midst of an
# event. Kernels over time in the first convolution only: a cell knows its own
# and the next frames, and what lies farther is left to those who read cells.
_base_ = [
    '../_base_/models/costa_tiny.py', '../_base_/datasets/synthetic.py',
    '../_base_/schedules/costa_tiny.py', '../_base_/default_runtime.py'
]
data_root = 'data/synthetic_turns/'
max_epochs = 6
model = dict(backbone=dict(temporal=dict(inflate=(0, 0, 0, 0))))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, by_epoch=False, begin=0, end=50),
    dict(
        type='PolyLR',
        power=1.0,
        eta_min=2e-5,
        by_epoch=True,
        begin=max_epochs // 2,
        end=max_epochs,
        convert_to_iter_based=True),
]
train_cfg = dict(max_epochs=max_epochs)
train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = dict(dataset=dict(data_root=data_root))

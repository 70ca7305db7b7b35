# HC-STVG v2: 10131 training and 3482 validation sentences; figures are
# reported on the validation split, since the test split has no boxes.  All
# else is as for v1, for which the published loader was written.
_base_ = './hcstvg_v1.py'
data_root = 'data/hcstvg_v2/'
train_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        ann_file='annotations/train_v2.json',
        filter_cfg=None))
test_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        ann_file='annotations/val_v2.json',
        filter_cfg=None))

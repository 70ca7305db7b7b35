# CoSTA on HC-STVG v1 with a tenth of the training videos held back to choose
# by, so that the test split is looked at once:
#   python tools/dataset_converters/split_hcstvg.py \
#       data/hcstvg_v1/annotations/train.json
_base_ = './costa_hcstvg.py'
train_dataloader = dict(
    dataset=dict(ann_file='annotations/train_part.json'))
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=False,
    drop_last=False,
    sampler=dict(type='EpochSampler', shuffle=False, round_up=False),
    dataset=dict(
        type='HCSTVGDataset',
        data_root={{_base_.data_root}},
        ann_file='annotations/train_holdout.json',
        data_prefix=dict(video='videos'),
        clip_seconds={{_base_.clip_seconds}},
        pipeline={{_base_.test_pipeline}},
        test_mode=True))
val_evaluator = {{_base_.test_evaluator}}
val_cfg = dict()
train_cfg = dict(val_interval=5)
default_hooks = dict(checkpoint=dict(save_best='stvg/m_vIoU'))

# TubeDETR on VidSTG, published settings (resolution 352, stride 4):
#   tools/dist_train.sh configs/baselines/tubedetr_vidstg.py 8
_base_ = [
    './_base_/models/tubedetr_r101.py', './_base_/pipelines/tubedetr.py',
    './_base_/schedules/tubedetr.py', '../_base_/datasets/vidstg.py',
    '../_base_/paper_runtime.py'
]
load_from = _base_.initial_weights

train_pipeline = _base_.tubedetr_train_pipeline
test_pipeline = _base_.tubedetr_test_pipeline
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_evaluator = dict(
    type='STVGMetric', protocol=['paper', 'tubedetr_vidstg'])
val_evaluator = test_evaluator

max_epochs = 10
# text encoder: 1 % warm-up, then linearly to 0;
# all else: constant, the first drop would come after 10 epochs
param_scheduler = dict(
    type='GroupwiseLR',
    schedules=dict(
        text=dict(warmup=0.01, to_zero=True),
        rest=dict(milestones=[], gamma=0.1)),
    end=max_epochs,
    convert_to_iter_based=True)
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=1)

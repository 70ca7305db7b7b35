# Tubes of a detector ranked by the sentence, on HC-STVG v1: two-stage
# grounding at the sizes of the other methods. Propose the tubes first:
#   tools/propose_tubes.py data/hcstvg_v1/videos \
#     --out-dir data/hcstvg_v1/tubes --transformers facebook/detr-resnet-50
#   tools/dist_train.sh configs/baselines/tube_ranking_hcstvg.py 8
# Nobody has published such figures; the settings are ours. MDETR gives
# ResNet-101, text encoder and the layers over words and tubes.
_base_ = [
    './_base_/models/stcat_r101.py', './_base_/schedules/tubedetr.py',
    '../_base_/datasets/hcstvg_v1.py', '../_base_/paper_runtime.py'
]
load_from = _base_.initial_weights
model = dict(
    neck=dict(
        _delete_=True,
        type='TubeRankingNeck',
        in_channels=2048,
        stride=32,
        embed_dims=256,
        num_layers=6,
        num_heads=8,
        feedforward_channels=2048,
        dropout=0.1),
    head=dict(
        _delete_=True,
        type='TubeRankingHead',
        embed_dims=256,
        loss_match=dict(type='TubeMatchLoss', loss_weight=5.),
        loss_span=dict(type='SpanKLLoss', sigma=2., loss_weight=10.)),
    # two passes could pick two tubes
    test_cfg=dict(two_pass=False))

tubes = dict(type='LoadTubeProposals', root='data/hcstvg_v1/tubes')
pack = dict(type='PackSTVGInputs', video_keys=('tubes', 'tube_scores'))
sample, crop, load, annotate, *rest, _ = _base_.train_pipeline
train_pipeline = [sample, crop, load, annotate, tubes, *rest, pack]
_, load, annotate, *rest, _ = _base_.test_pipeline
test_pipeline = [_base_.sample_train, load, annotate, tubes, *rest, pack]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_evaluator = [
    dict(type='STVGMetric', protocol=['paper', 'stcat_hcstvg']),
    dict(type='ProposalRecall')
]

max_epochs = 40
# text encoder: 1 % warm-up, then linearly to 0; all else: one drop
param_scheduler = dict(
    type='GroupwiseLR',
    schedules=dict(
        text=dict(warmup=0.01, to_zero=True),
        rest=dict(milestones=[30], gamma=0.1)),
    end=max_epochs,
    convert_to_iter_based=True)
train_cfg = dict(by_epoch=True, max_epochs=max_epochs)

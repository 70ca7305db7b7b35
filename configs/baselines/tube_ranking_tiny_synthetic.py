# Tubes ranked by the sentence on the synthetic benchmark, with the data,
# schedule, text encoder, backbone and sizes of CoSTA-tiny. The proposals are
# the generator's own tracks, so it learns ranking and time alone:
#   DATA=data/synthetic_easy
#   for SPLIT in train val test; do
#     tools/misc/synthetic_detections.py $DATA --split $SPLIT \
#       --out-dir $DATA/tracks/$SPLIT
#     tools/propose_tubes.py --list $DATA/tracks/$SPLIT/list.jsonl \
#       --detections $DATA/tracks/$SPLIT/detections.json --out-dir $DATA/tubes
#   done
_base_ = [
    '../_base_/models/costa_tiny.py', '../_base_/datasets/synthetic.py',
    '../_base_/schedules/costa_tiny.py', '../_base_/default_runtime.py'
]
model = dict(
    neck=dict(
        _delete_=True,
        type='TubeRankingNeck',
        in_channels=128,
        stride=16,
        embed_dims=_base_.embed_dims,
        num_layers=2,
        num_heads=4,
        feedforward_channels=128,
        dropout=0.,
        input_norm=True),
    head=dict(
        _delete_=True,
        type='TubeRankingHead',
        embed_dims=_base_.embed_dims,
        loss_match=dict(type='TubeMatchLoss', loss_weight=5.),
        loss_span=_base_.model.head.loss_span))

video_keys = ('tubes', 'tube_scores')
tubes = dict(type='LoadTubeProposals', root='data/synthetic_easy/tubes')
sample, load, annotate, *rest, _ = _base_.train_pipeline
train_pipeline = [
    sample, load, annotate, tubes, *rest,
    dict(type='PackSTVGInputs', video_keys=video_keys)
]
sample, load, annotate, *rest, _ = _base_.test_pipeline
test_pipeline = [
    sample, load, annotate, tubes, *rest,
    dict(type='PackSTVGInputs', video_keys=video_keys)
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
val_evaluator = [
    dict(type='STVGMetric', per_factor=False),
    dict(type='ProposalRecall')
]
test_evaluator = [dict(type='STVGMetric'), dict(type='ProposalRecall')]

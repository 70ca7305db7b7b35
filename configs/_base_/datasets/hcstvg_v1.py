# HC-STVG v1: 4500 training and 1160 test sentences, 20 s clips; there is no
# validation split, so nothing is validated during training.  Layout of the
# folder: docs/en/datasets.  "STCAT": the published loader.
data_root = 'data/hcstvg_v1/'
clip_seconds = 20.  # every clip is 20 s long; frame rate = frames / 20
# broken as released (STCAT leaves them out too)
broken = ('10__Gvp-cj3bmIY.mp4', '1_aMYcLyh9OhU.mkv')
# resolution 448: short sides 448 - 32 i, long side at most 720 (STCAT)
short_sides = (352, 384, 416, 448)
max_size = 720
# 3.2 frames/s and the last candidate: 65 frames; the final frame of a clip is
# no candidate (STCAT); twice as many for the two test passes: 129
sample_train = dict(
    type='SampleFrames', mode='fps', fps=3.2, keep_last=True, skip_final=True)
sample_test = dict(
    type='SampleFrames', mode='fps', fps=6.4, keep_last=True, skip_final=True)

resize = dict(type='ResizeClip', short_side=short_sides, max_size=max_size)
train_pipeline = [
    sample_train,
    # p 0.5, after sampling (STCAT)
    dict(type='RandomTemporalCrop', prob=0.5, level='frames'),
    dict(type='LoadVideoFrames'),
    dict(type='LoadTubeAnnotations'),
    # p 0.5; left and right change places in the words too, as STCAT means
    dict(type='FlipWithText', prob=0.5),
    # one of two, p 0.5 each; sizes and 50 tries as STCAT has them
    dict(
        type='RandomBranch',
        branches=[
            [resize],
            [
                dict(type='ResizeClip', short_side=(400, 500, 600)),
                dict(
                    type='RandomSizeCrop',
                    min_size=384,
                    max_size=600,
                    keep='part',
                    tries=50), resize
            ],
        ]),
    dict(type='CleanSentence', lower=True),
    dict(type='PackSTVGInputs'),
]
test_pipeline = [
    sample_test,
    dict(type='LoadVideoFrames'),
    dict(type='LoadTubeAnnotations'),
    dict(type='ResizeClip', short_side=448, max_size=max_size),
    dict(type='CleanSentence', lower=True),
    dict(type='PackSTVGInputs'),
]

train_dataloader = dict(
    batch_size=1,  # STCAT: one video per GPU, 8 GPUs
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='EpochSampler', shuffle=True),
    dataset=dict(
        type='HCSTVGDataset',
        data_root=data_root,
        ann_file='annotations/train.json',
        data_prefix=dict(video='videos'),
        clip_seconds=clip_seconds,
        filter_cfg=dict(exclude=broken),
        pipeline=train_pipeline))

test_dataloader = dict(
    batch_size=1,  # STCAT: one video per GPU, 8 GPUs
    num_workers=4,
    persistent_workers=False,
    drop_last=False,
    sampler=dict(type='EpochSampler', shuffle=False, round_up=False),
    dataset=dict(
        type='HCSTVGDataset',
        data_root=data_root,
        ann_file='annotations/test.json',
        data_prefix=dict(video='videos'),
        clip_seconds=clip_seconds,
        filter_cfg=dict(exclude=broken),
        pipeline=test_pipeline,
        test_mode=True))

# the paper's definition first, the lineage's evaluator beside it
test_evaluator = dict(type='STVGMetric', protocol=['paper', 'stcat_hcstvg'])
test_cfg = dict()

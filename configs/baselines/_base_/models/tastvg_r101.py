# TA-STVG (ICLR 2025) at the published size.
_base_ = './two_stream_r101.py'
model = dict(
    # "man the man walks": the subject is read before the sentence
    text_encoder=dict(type='SubjectTextEncoder'),
    head=dict(
        type='TASTVGHead',
        num_appearances=15,
        num_motions=60,
        frame_threshold=0.7,
        second_pass=True,
        loss_span=dict(loss_weight=12.),
        loss_frames_appearance=dict(
            type='AttendanceLoss', outside_weight=1., loss_weight=1.),
        loss_frames_motion=dict(
            type='AttendanceLoss', outside_weight=1., loss_weight=1.),
        loss_attributes_appearance=dict(
            type='MultiLabelLoss', loss_weight=1.),
        loss_attributes_motion=dict(type='MultiLabelLoss', loss_weight=1.)))

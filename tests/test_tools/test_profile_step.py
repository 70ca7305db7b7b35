# Copyright (c) costa_mm authors. All rights reserved.
import importlib
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from torch.autograd import DeviceType

ROOT = Path(__file__).resolve().parents[2]
CONFIG = str(ROOT / 'configs' / 'synthetic' / 'costa_tiny_synthetic.py')


@pytest.fixture(scope='module')
def tool():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / 'tools' / 'analysis_tools'))
        yield importlib.import_module('profile_step')


@pytest.mark.parametrize('name, kind', [
    ('aten::convolution_backward', 'convolutions'),
    ('aten::mkldnn_convolution', 'convolutions'),
    ('aten::_scaled_dot_product_efficient_attention_backward', 'attention'),
    ('aten::_flash_attention_forward', 'attention'),
    ('aten::addmm', 'matrix products'), ('aten::bmm', 'matrix products'),
    ('aten::_fused_adamw_', 'optimizer'), ('aten::_foreach_norm', 'optimizer'),
    ('aten::native_layer_norm_backward', 'norms, softmax'),
    ('aten::_log_softmax', 'norms, softmax'),
    ('aten::copy_', 'copies, layout'), ('aten::cat', 'copies, layout'),
    ('aten::add', 'other'), ('aten::relu', 'other'),
])
def test_kinds_of_work(tool, name, kind):
    assert tool.kind_of(name) == kind


class Found:
    """Events of two steps on a GPU: operations, a kernel, two waits."""

    def key_averages(self):
        rows = [('aten::addmm', DeviceType.CPU, 4, 100., 6e6),
                ('sm90_xmma_gemm', DeviceType.CUDA, 4, 0., 6e6),
                ('aten::add', DeviceType.CPU, 2, 900., 2e6),
                ('cudaStreamSynchronize', DeviceType.CPU, 6, 4e6, 0.),
                ('aten::_local_scalar_dense', DeviceType.CPU, 2, 30., 0.)]
        return [SimpleNamespace(key=key, device_type=kind, count=count,
                                self_cpu_time_total=cpu,
                                self_device_time_total=device)
                for key, kind, count, cpu, device in rows]


def test_a_kernel_counts_once_for_its_operation(tool):
    own = {n: (s, c) for n, s, c in tool.operations(Found(), True, 2)}
    assert own['aten::addmm'] == (3., 2.) and own['aten::add'] == (1., 1.)
    assert 'sm90_xmma_gemm' not in own
    assert tool.waits(Found(), 2) == {
        'cudaStreamSynchronize': [3., 2.],
        'aten::_local_scalar_dense': [1., 1.5e-5]}


def test_a_step_on_the_cpu(tool, tmp_path, capsys, monkeypatch):
    path = tmp_path / 'step.json'
    args = [CONFIG, '--frames', '2', '--size', '32x32', '--mode', 'fp32',
            '--rounds', '1', '--device', 'cpu', '--json', str(path)]
    # in this process
    monkeypatch.setattr(tool, 'run_alone', lambda f, *args: f(*args))
    tool.main(args)
    out, = json.loads(path.read_text())['profiles'].values()
    assert out['kinds']['convolutions'] > 0 < out['kinds']['optimizer']
    assert out['busy'] == pytest.approx(sum(out['kinds'].values()))
    text = capsys.readouterr().out
    assert '| convolutions' in text and 'aten::convolution_backward' in text
    monkeypatch.setattr(tool, 'run_alone', None)  # it is there
    tool.main(args)


def test_what_is_found_on_a_gpu_is_told(tool, capsys):
    spec = tool.Spec(CONFIG, 'bf16', 'train', 2, (32, 32), 1, 'cuda')
    tool.print_profile(spec, dict(
        seconds=2., busy=1.5, kinds=dict(convolutions=1., other=.5),
        operations={'aten::conv': [1., 3.]},
        waits={'cudaStreamSynchronize': [2., .25]}), 5)
    text = capsys.readouterr().out
    assert 'nothing to do for 0.5000 s, 25.0%' in text
    assert '| cudaStreamSynchronize' in text
    tool.print_profile(spec, dict(error='out of memory: x'), 5)
    assert 'out of memory' in capsys.readouterr().out


def test_bad_arguments(tool, capsys):
    for bad in ([CONFIG, '--rounds', '0'], ['nowhere.py']):
        with pytest.raises(SystemExit):
            tool.parse_args(bad)

# Copyright (c) costa_mm authors. All rights reserved.
"""Packaging of costa_mm."""
import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
# What `mim` and the inferencer look for in an installed OpenMMLab package.
MIM_FILES = ('configs', 'tools', 'demo', 'model-index.yml')
# they install, test or measure a checkout
CHECKOUT_TOOLS = ('setup_env.sh', 'run_tests.sh', 'quickstart.sh',
                  'gpu_suite.sh', 'gpu_suite_report.py')


def read(path: str) -> str:
    """Text of a file of this repository, '' where it does not exist."""
    path = ROOT / path
    return path.read_text(encoding='utf-8') if path.is_file() else ''


def version() -> str:
    """The version, read without importing the package."""
    return re.search(r"__version__ = '([^']+)'",
                     read('costa_mm/version.py')).group(1)


def requirements(name: str) -> list:
    """Requirement lines of ``requirements/NAME.txt`` without comments."""
    lines = (line.split('#')[0].strip()
             for line in read(f'requirements/{name}.txt').splitlines())
    return [line for line in lines if line]


def local_weights() -> list:
    """Checkpoints that the metafiles name and what lies beside them."""
    named = {
        ROOT / weights for metafile in ROOT.glob('configs/**/metafile.yml')
        for weights in re.findall(r'^ *Weights: *(\S+)$',
                                  metafile.read_text(encoding='utf-8'), re.M)
        if '://' not in weights}
    return sorted(
        path.relative_to(ROOT).as_posix() for weights in named
        for path in weights.parent.glob(f'{weights.stem}.*'))


class BuildWithMim(build_py):
    """Copy configs, tools and weights to ``costa_mm/.mim`` of the package.

    An editable install needs no copy: there they lie beside the package.
    """

    def run(self):
        """Build the package, then add the copies."""
        super().run()
        if getattr(self, 'editable_mode', False):
            return
        target = Path(self.build_lib) / 'costa_mm' / '.mim'
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        ignore = shutil.ignore_patterns('__pycache__', '*.pyc',
                                        *CHECKOUT_TOOLS)
        for name in (*MIM_FILES, *local_weights()):
            source = ROOT / name
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target / name, ignore=ignore)
            elif source.is_file():
                shutil.copy2(source, target / name)


if __name__ == '__main__':
    setup(
        name='costa_mm',
        version=version(),
        description='OpenMMLab-style toolbox for spatio-temporal video '
        'grounding, home of CoSTA',
        long_description=read('README.md'),
        long_description_content_type='text/markdown',
        author='costa_mm authors',
        license='Apache License 2.0',
        keywords='computer vision, video grounding, OpenMMLab',
        classifiers=[
            'Development Status :: 4 - Beta',
            'Operating System :: OS Independent',
            'Programming Language :: Python :: 3',
            'Programming Language :: Python :: 3.10',
            'Programming Language :: Python :: 3.11',
            'Programming Language :: Python :: 3.12',
        ],
        packages=find_packages(include=['costa_mm', 'costa_mm.*']),
        include_package_data=True,
        cmdclass=dict(build_py=BuildWithMim),
        python_requires='>=3.10',
        install_requires=requirements('runtime'),
        extras_require=dict(
            all=requirements('runtime') + requirements('optional') +
            requirements('tests'),
            backends=requirements('backends'),
            build=requirements('build'),
            docs=requirements('docs'),
            drive=requirements('drive'),
            efficientnet=requirements('efficientnet'),
            lite=['mmcv-lite>=2.0.0,<2.2.0'],
            mim=requirements('mminstall'),
            optional=requirements('optional'),
            ray=requirements('ray'),
            tests=requirements('tests'),
            webapp=requirements('webapp')),
        entry_points=dict(console_scripts=['costa-mm=costa_mm.cli:main']),
        zip_safe=False)

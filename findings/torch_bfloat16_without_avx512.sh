#!/bin/sh
# torch on a CPU without AVX-512: bfloat16 autocast trains some ten times slower than float32, and nothing says so.
#
# A guess: where a processor has no products in bfloat16, torch converts to float32, multiplies and converts back, which
# costs at most twice the time.
# What happens: oneDNN takes bfloat16 only from AVX-512 on, and torch falls back to products of its own, which use
# neither the BLAS library nor much of the vector units: forward 9 times the time of float32, a training step 12 times.
# No warning. Such are AMD's processors before Zen 4 and Intel's for laptops and desktops since the 12th generation,
# where `bf16=True` in a script that was written for a GPU turns minutes into an hour.
# What to do: float32 there. `torch.ops.mkldnn._is_mkldnn_bf16_supported()` tells the two kinds apart.
#
# The variables below make a newer processor behave like an older one, so that the script runs anywhere on x86.
#
# Versions: torch 2.13.0 (CPU), numpy 2.4.6; Python 3.11; AMD EPYC (Zen 3).
# Output seen (ratios differ by processor; processor time of one thread):
#   AVX2, products in bfloat16: False
#   forward  float32    9.9 ms, bfloat16   91.7 ms: 9.2 times
#   training float32   28.3 ms, bfloat16  381.8 ms: 13.5 times
#
# Ends with 0 where this is still so (3 times or more), with 1 where it has changed.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6

ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 "$folder/env/bin/python" - <<'PYTHON'
import sys
from time import process_time

import torch

torch.set_num_threads(1)
torch.manual_seed(0)
supported = torch.ops.mkldnn._is_mkldnn_bf16_supported()
print(f"{torch.backends.cpu.get_cpu_capability()}, products in bfloat16: {supported}")
layers = torch.nn.Sequential(*[torch.nn.Linear(384, 384) for _ in range(4)])
x = torch.randn(512, 384)


def step(bf16: bool, training: bool) -> None:
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16), torch.set_grad_enabled(training):
        loss = layers(x).float().square().mean()
    if training:
        loss.backward()


def milliseconds(bf16: bool, training: bool) -> float:
    step(bf16, training)
    began = process_time()
    for _ in range(3):
        step(bf16, training)
    return (process_time() - began) / 3 * 1000


ratios = []
for training in (False, True):
    pairs = [(milliseconds(False, training), milliseconds(True, training)) for _ in range(4)]
    single, half = (min(times) for times in zip(*pairs))
    ratios.append(half / single)
    print(f"{'training' if training else 'forward':8} float32 {single:6.1f} ms, bfloat16 {half:6.1f} ms: "
          f"{ratios[-1]:.1f} times")
sys.exit(supported or min(ratios) < 3)
PYTHON

#!/bin/sh
# torch autocast keeps the cast of a weight that trains, and casts a frozen one again in every pass.
#
# A guess: inside one `torch.autocast` block a float32 weight is cast to bfloat16 once, whoever uses it how often; a
# frozen weight, which cannot change, all the more so.
# What happens: only leaves with `requires_grad` are kept. Ten passes through a layer that trains cast its two tensors
# twice in all, ten passes through the same layer frozen twenty times. So with LoRA, where nearly all weights are
# frozen, the cast of the whole model is paid in each forward pass, and gradient accumulation, where passes share a
# block, saves it for full fine-tuning alone. `torch.no_grad()` makes no difference to the weights that are kept.
# What to do: hold frozen weights in bfloat16, or count the casts before comparing the two by time.
#
# Versions: torch 2.13.0 (CPU), numpy 2.4.6; Python 3.11.
# Output seen:
#   a layer that trains, 10 passes: 2 casts
#   the same without gradients:     2 casts
#   the same layer frozen:          20 casts
#
# Ends with 0 where this is still so, with 1 where it has changed.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6

"$folder/env/bin/python" - <<'PYTHON'
import sys

import torch
from torch.profiler import ProfilerActivity, profile


def casts(frozen: bool, gradients: bool = True) -> int:
    """Casts of weight and bias in ten passes within one block; the input is in bfloat16 already."""
    layer = torch.nn.Linear(64, 64).requires_grad_(not frozen)
    x = torch.randn(8, 64, dtype=torch.bfloat16)
    with profile(activities=[ProfilerActivity.CPU]) as seen, torch.autocast("cpu", torch.bfloat16):
        for _ in range(10):
            with torch.set_grad_enabled(gradients):
                layer(x)
    return sum(one.count for one in seen.key_averages() if one.key == "aten::_to_copy")


found = casts(frozen=False), casts(frozen=False, gradients=False), casts(frozen=True)
print(f"a layer that trains, 10 passes: {found[0]} casts")
print(f"the same without gradients:     {found[1]} casts")
print(f"the same layer frozen:          {found[2]} casts")
sys.exit(found != (2, 2, 20))
PYTHON

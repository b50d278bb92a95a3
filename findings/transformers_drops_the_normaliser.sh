#!/bin/sh
# transformers: for some model types AutoTokenizer drops the normaliser of a tokenizer.json.
#
# A guess: `AutoTokenizer` on a folder with a tokenizer.json gives the ids that this file gives with `tokenizers`.
# What happens: for an XLM-R folder the tokenizer is made anew, and a lowercasing step in the file is gone: capitals
# are cut into other sub-words, and nothing is said. With `tokenizer_class: PreTrainedTokenizerFast` the file is read as
# it is.
# What to do: compare the ids of a few texts with those of `Tokenizer.from_file`.
#
# Versions: transformers 5.24.0, tokenizers 0.23.3; Python 3.11.
# Output seen:
#   tokenizers               ['▁hello', '▁world']
#   XLMRobertaTokenizer      ['▁', 'H', 'e', 'l', 'l', 'o', '▁', 'W', 'o', 'r', 'l', 'd'], normaliser None
#   PreTrainedTokenizerFast  ['▁hello', '▁world'], normaliser Lowercase()
#
# Ends with 0 where this is still so, with 1 where it has changed.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check transformers==5.24.0 tokenizers==0.23.3

HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error "$folder/env/bin/python" - <<'PYTHON'
import json
import tempfile
from pathlib import Path

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import AutoTokenizer

special = {"unk_token": "<unk>", "pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "cls_token": "<s>",
           "sep_token": "</s>", "mask_token": "<mask>"}
pieces = [(name, 0.0) for name in ("<s>", "<pad>", "</s>", "<unk>")]
pieces += [("▁hello", -1.0), ("▁world", -1.0), ("▁", -2.0)]
pieces += [(letter, -5.0) for letter in "abcdefghijklmnopqrstuvwxyzHW"] + [("<mask>", 0.0)]
own = Tokenizer(models.Unigram(pieces, unk_id=3))
own.normalizer = normalizers.Lowercase()
own.pre_tokenizer = pre_tokenizers.Metaspace()

text, found = "Hello World", {}
found["file"] = own.encode(text).tokens
print(f"{'tokenizers':25}{found['file']}")
for name, model_type in (("XLMRobertaTokenizer", "xlm-roberta"), ("PreTrainedTokenizerFast", "xlm-roberta")):
    with tempfile.TemporaryDirectory() as folder:
        own.save(str(Path(folder) / "tokenizer.json"))
        Path(folder, "config.json").write_text(json.dumps({"model_type": model_type}))
        Path(folder, "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": name} | special))
        read = AutoTokenizer.from_pretrained(folder)
    found[name] = read.tokenize(text)
    print(f"{name:25}{found[name]}, normaliser {read.backend_tokenizer.normalizer}")

same = found["PreTrainedTokenizerFast"] == found["file"] == ["▁hello", "▁world"] != found["XLMRobertaTokenizer"]

print("as described" if same else "CHANGED: not as described above")
raise SystemExit(not same)
PYTHON

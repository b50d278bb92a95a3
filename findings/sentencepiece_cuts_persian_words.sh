#!/bin/sh
# sentencepiece: the usual normaliser cuts Persian words in two and forgets where.
#
# A guess: `nmt_nfkc` (of XLM-R, mT5 and T5) is NFKC with tidy spaces, and NFKC leaves the zero-width non-joiner alone.
# What happens: the non-joiner inside a Persian word, the zero-width space and the direction marks become a space, so a
# word is two, and text decoded from sub-words never has the non-joiner again: such an answer cannot match exactly. The
# zero-width joiner of Sinhala and Malayalam is kept, and so are bidi isolates. `nfkc` keeps all.
# What to do: cut answers from the text by their offsets; compare decoded text after the same normalisation.
#
# Versions: sentencepiece 0.2.3; Python 3.11.
# Output seen:
#   U+200C zero-width non-joiner  nmt_nfkc space    nfkc kept
#   U+200D zero-width joiner      nmt_nfkc kept     nfkc kept
#   U+200B zero-width space       nmt_nfkc space    nfkc kept
#   U+200F right-to-left mark     nmt_nfkc space    nfkc kept
#   U+061C Arabic letter mark     nmt_nfkc space    nfkc kept
#   U+2067 right-to-left isolate  nmt_nfkc kept     nfkc kept
#   U+00AD soft hyphen            nmt_nfkc kept     nfkc kept
#   the Persian word for "books": 1 word before, 2 after
#
# Ends with 0 where this is still so, with 1 where it has changed.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check sentencepiece==0.2.3

"$folder/env/bin/python" - <<'PYTHON'
from sentencepiece import SentencePieceNormalizer

plain = {"add_dummy_prefix": False, "escape_whitespaces": False, "remove_extra_whitespaces": False}
rules = {name: SentencePieceNormalizer(rule_name=name, **plain) for name in ("nmt_nfkc", "nfkc")}
marks = {
    "\u200c": "zero-width non-joiner", "\u200d": "zero-width joiner", "\u200b": "zero-width space",
    "\u200f": "right-to-left mark", "\u061c": "Arabic letter mark", "\u2067": "right-to-left isolate",
    "\u00ad": "soft hyphen",
}
found = {}
for mark, name in marks.items():
    for rule, normaliser in rules.items():
        text = normaliser.normalize(f"a{mark}b")
        found[mark, rule] = {f"a{mark}b": "kept", "a b": "space", "ab": "dropped"}[text]
    print(f"U+{ord(mark):04X} {name:23}nmt_nfkc {found[mark, 'nmt_nfkc']:9}nfkc {found[mark, 'nfkc']}")

books = "\u06a9\u062a\u0627\u0628\u200c\u0647\u0627"
words = len(books.split()), len(rules["nmt_nfkc"].normalize(books).split())
print(f'the Persian word for "books": {words[0]} word before, {words[1]} after')

spaces = {mark for mark in marks if found[mark, "nmt_nfkc"] == "space"}
same = (
    words == (1, 2) and spaces == set("\u200c\u200b\u200f\u061c")
    and all(found[mark, "nmt_nfkc"] == "kept" for mark in set(marks) - spaces)
    and all(found[mark, "nfkc"] == "kept" for mark in marks)
)

print("as described" if same else "CHANGED: not as described above")
raise SystemExit(not same)
PYTHON

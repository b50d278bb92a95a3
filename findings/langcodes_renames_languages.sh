#!/bin/sh
# langcodes: reading a code renames some languages, without being asked to.
#
# A guess: `Language.get("tgl")` is Tagalog (at most shortened to `tl`), and `hbs` stays Serbo-Croatian.
# What happens: `tgl` and `tl` become `fil` (Filipino), `hbs` becomes `sr-Latn` (Serbian in Latin script), by CLDR's
# aliases, while `zsm`, `cmn` and `nob` stay what they are. Rows of two languages end under one code, and a join by code
# with tables of ISO 639-3 finds none.
# What to do: `Language.get(code, normalize=False)`, or a table of your own.
#
# Versions: langcodes 3.5.1; Python 3.11.
# Output seen:
#   tgl  get: fil      standardize_tag: fil      normalize=False: tgl
#   tl   get: fil      standardize_tag: fil      normalize=False: tl
#   fil  get: fil      standardize_tag: fil      normalize=False: fil
#   hbs  get: sr-Latn  standardize_tag: sr-Latn  normalize=False: hbs
#   sh   get: sr-Latn  standardize_tag: sr-Latn  normalize=False: sh
#   mo   get: ro       standardize_tag: ro       normalize=False: mo
#   zsm  get: zsm      standardize_tag: zsm      normalize=False: zsm
#   cmn  get: cmn      standardize_tag: cmn      normalize=False: cmn
#   nob  get: nb       standardize_tag: nb       normalize=False: nob
#
# Ends with 0 where this is still so, with 1 where it has changed.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check langcodes==3.5.1

"$folder/env/bin/python" - <<'PYTHON'
import langcodes

expected = {"tgl": "fil", "tl": "fil", "fil": "fil", "hbs": "sr-Latn", "sh": "sr-Latn", "mo": "ro",
            "zsm": "zsm", "cmn": "cmn", "nob": "nb"}
found = {}
for code in expected:
    found[code] = str(langcodes.Language.get(code))
    kept = str(langcodes.Language.get(code, normalize=False))
    print(f"{code:4} get: {found[code]:8} standardize_tag: {langcodes.standardize_tag(code):8} normalize=False: {kept}")

same = found == expected and all(langcodes.standardize_tag(code) == new for code, new in expected.items())

print("as described" if same else "CHANGED: not as described above")
raise SystemExit(not same)
PYTHON

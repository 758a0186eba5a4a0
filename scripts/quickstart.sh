#!/usr/bin/env bash
# From a clone to a finetuned network: install, then detect -> train -> detect -> evaluate -> report on
# the pictures that ship. Leaves quickstart.png and results/; needs no GPU. Running it again goes on
# where it was.
#
#   bash scripts/quickstart.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

step() { printf '\n== %s\n' "$*"; }

step "Installing desra into ${VENV:-.venv}"
bash scripts/install.sh --extras ""
python=${VENV:-.venv}/bin/python
started=$SECONDS

step "1/6 Detect: the artifacts of the embedded GAN network on the pictures to finetune on"
# Smaller regions than those that count: there are more of them to learn from.
"$python" -m desra.detect -opt options/detect.yml --force_yml mask:min_area=200

step "2/6 Train: finetune the GAN network towards the pseudo ground truth of those pictures"
"$python" -m desra.train -opt options/finetune.yml
finetuned=experiments/finetune/models/net_g_latest.pth

step "3/6 Detect: the network before finetuning, on pictures that it is never finetuned on"
"$python" -m desra.detect -opt options/detect.yml --force_yml \
    input:lq=embedded:heldout output=results/heldout_before

step "4/6 Detect: the finetuned network, on the same pictures"
"$python" -m desra.detect -opt options/detect.yml --force_yml \
    input:lq=embedded:heldout output=results/heldout_after sr_gan:weights="$finetuned"

step "5/6 Evaluate: what the finetuning removed, and what it kept"
"$python" -m desra.evaluate -opt options/evaluate.yml

step "6/6 Report: a page to look at"
"$python" -m desra.report -opt options/report.yml --force_yml \
    settings="[experiments/finetune/options.yml]"

printf '\nDone in %d s after installation.\n' $((SECONDS - started))
printf 'Look at %s (input, MSE-SR, GAN-SR, D, mask; after: GAN-SR, mask)\nand, in a browser, at %s\n' \
    "$PWD/quickstart.png" "$PWD/results/report/index.html"
printf 'The finetuned network: %s\n' "$finetuned"

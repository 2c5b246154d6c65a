#!/usr/bin/env bash
# Trains a few steps with one process and with `mpirun -np 2` on the same global batches: the losses must agree.
#   compare-ranks.sh PATH_OF_ICNN
set -euo pipefail
icnn=$(readlink -f "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$icnn" data synthesize --output "$work/data" --image-size 32 --images-per-category 10
train=("$icnn" train --data "$work/data" --image-size 32 --batch-size 7 --steps 8 --threads 1)
"${train[@]}" --output "$work/one"
if [ "$(id -u)" = 0 ]; then export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1; fi
mpirun --oversubscribe -np 2 "${train[@]}" --output "$work/two"

# "loss" of every step, one a line.
losses() { grep '"event":"step"' "$1/metrics.jsonl" | sed -E 's/.*"loss":([^,]*),"task_loss.*/\1/'; }
paste <(losses "$work/one") <(losses "$work/two") | awk '
  { d = ($1 - $2) / $1; if (d < 0) d = -d; limit = NR == 1 ? 1e-5 : 1e-2
    printf "step %d: %s on one rank, %s on two, relative difference %.1e\n", NR, $1, $2, d
    if (!(d <= limit)) failed = 1 }
  END { if (NR != 8) { print "8 steps expected, " NR " found"; failed = 1 }; exit failed }'

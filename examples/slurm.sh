#!/bin/bash
# A study on a Slurm cluster: sbatch examples/slurm.sh STUDY.yaml /shared/results
# The first node also holds Ray's head and the driver. Two minutes before the time limit the run keeps snapshots, and
# the job queues itself again, until the study is done. raystilts watch /shared/results/NAME follows it from anywhere.
#SBATCH --job-name=raystilts
#SBATCH --nodes=4                     # EDIT
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4             # EDIT
#SBATCH --cpus-per-task=32            # EDIT
#SBATCH --time=24:00:00               # EDIT
#SBATCH --signal=B:USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=raystilts-%j.log
set -euo pipefail
study=${1:?STUDY.yaml}
storage=${2:?a folder that all nodes share, or s3://bucket/folder}
source "${RAYSTILTS_ENV:-$HOME/raystilts-env}/bin/activate"    # EDIT: an environment on a file system that all nodes share

# Out of time: the run, if it has begun, keeps snapshots. The signal is for this script alone (B:), and Ray lives on.
driver="" again=0
trap 'again=1; [ -z "$driver" ] || kill -USR1 "$driver" || true' USR1

# Others have accounts on these nodes: only who holds this job's token can talk to its Ray.
export RAY_USAGE_STATS_ENABLED=0 RAY_AUTH_MODE=token RAY_AUTH_TOKEN
RAY_AUTH_TOKEN=$(python -c 'import secrets; print(secrets.token_hex(32))')
# Compute nodes often have no internet: fetch the encoder and the data on a login node before.
export HF_HUB_OFFLINE="${HF_HUB_OFFLINE:-1}"

head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
address=$(srun --nodes=1 --ntasks=1 -w "$head" hostname --ip-address | awk '{print $1}')
port=$((20000 + SLURM_JOB_ID % 20000))    # two jobs may share a node
gpus=${SLURM_GPUS_ON_NODE:-0}
common=(--num-cpus="${SLURM_CPUS_PER_TASK:-1}" --num-gpus="$gpus" --block --temp-dir="/tmp/ray-$SLURM_JOB_ID")

# Since Slurm 22.05 a step may have to be told its cores.
each=(--cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" --overlap)
srun --nodes=1 --ntasks=1 "${each[@]}" -w "$head" \
  ray start --head --node-ip-address="$address" --port="$port" --include-dashboard=false "${common[@]}" &
for _ in $(seq 60); do
  RAY_ADDRESS="$address:$port" ray status >/dev/null 2>&1 && break
  sleep 2
done
others=$((SLURM_JOB_NUM_NODES - 1))
if [ "$others" -gt 0 ]; then
  srun --nodes="$others" --ntasks="$others" "${each[@]}" --exclude="$head" \
    ray start --address="$address:$port" "${common[@]}" &
  for _ in $(seq 60); do
    joined=$(python - "$address:$port" <<'PY'
import sys
import ray
ray.init(sys.argv[1], log_to_driver=False, logging_level="ERROR")
print(sum(node["Alive"] for node in ray.nodes()))
PY
    )
    [ "$joined" -gt "$others" ] && break
    sleep 2
  done
fi

# This script runs on the first node, and so does the driver.
code=138    # 128 + SIGUSR1
if [ "$again" -eq 0 ]; then
  raystilts run "$study" --address "$address:$port" --storage-path "$storage" &
  driver=$!
  code=0
  wait "$driver" || code=$?
  while kill -0 "$driver" 2>/dev/null; do    # the signal has ended the first wait
    code=0
    wait "$driver" || code=$?
  done
fi
if [ "$again" -eq 1 ] && [ "$code" -eq 138 ]; then
  echo "raystilts: out of time; job $SLURM_JOB_ID is queued again"
  scontrol requeue "$SLURM_JOB_ID"
  sleep 60    # until Slurm ends this script
fi
exit "$code"

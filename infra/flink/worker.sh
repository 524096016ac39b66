#!/bin/sh
# A worker of Flink's TaskManager, which calls it with --id and --provision_endpoint.
# BRAID_PYTHON: the Python in which Braid is installed. BRAID_CHECKOUT: a checkout instead of a wheel.
# BRAID_MODULES: the folder of your own functions and kinds. BRAID_WORKER_LOG: where its
# output goes, which a TaskManager would throw away.
if [ -n "$BRAID_CHECKOUT" ]; then
    start="$BRAID_CHECKOUT/transforms/contract/process/own_packages.py transforms.runners.worker"
else
    start="-m braid.transforms.runners.worker"
fi
export PYTHONPATH="$BRAID_MODULES"
# shellcheck disable=SC2086 # two arguments
exec "${BRAID_PYTHON:-python3}" -P $start "$@" >> "${BRAID_WORKER_LOG:-/tmp/braid-worker.log}" 2>&1
